//! What a rule may say: everything that would load but never match, or match by surprise, is refused.

use std::collections::BTreeSet;

use cedar_policy::pst::{self, BinaryOp, Expr, Literal, Var};

use super::{
    error::Complaint,
    names::{self, ActionName, INSERT, REVEAL},
    question::{GRANT, REASON, REVIEWERS, TTL, Terms},
    reads::{APPROVAL, CONTEXT, FIELD, SECRET},
    rule::{ROLE, Rule, is_asked_to_insert, is_asked_to_reveal},
    syntax::{context_accesses, each_clause, each_part, names_any_resource},
};
use crate::{identify::role_account, meant::meant, prim::WorkloadName};

/// Annotations that mean something here.
const ANNOTATIONS: [&str; 7] = ["id", "description", REVIEWERS, GRANT, REASON, TTL, ROLE];
/// Annotations that say more about an approval.
const APPROVAL_DETAILS: [&str; 3] = [GRANT, REASON, TTL];
/// The attributes of `principal`.
const PRINCIPAL: [&str; 2] = ["issuer", "subject"];
/// What rules can read of a resource.
const RESOURCE: [&str; 5] = ["arn", "account", "region", "service", "type"];
/// Of these, the ones that some ARNs do not have.
const RESOURCE_OPTIONAL: [&str; 4] = ["account", "region", "service", "type"];
/// The kinds of entities.
const TYPES: [&str; 4] = ["Workload", "Group", "Action", "Resource"];

/// Characters a rule id may have.
const MAX_ID: usize = 128;

/// Checks one rule; every complaint is reported.
pub(super) fn check(rule: &pst::Template) -> Vec<Complaint> {
    let mut checker = Checker::default();
    checker.annotations(rule);
    checker.scope(rule);
    for condition in each_clause(rule) {
        checker.condition(condition);
    }
    checker.unguarded(names_any_resource(rule));
    checker.complaints.extend(own_actions(rule));
    let mut complaints: Vec<Complaint> = Vec::new();
    for complaint in checker.complaints {
        if !complaints.contains(&complaint) {
            complaints.push(complaint);
        }
    }
    complaints
}

/// Checks the text of a rule id: it appears in messages, logs and records.
pub(super) fn check_id(id: &str) -> Result<(), Complaint> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"._-/#:".contains(&b);
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(ok) {
        return Err(Complaint::new(format!("{id:?} is not a rule id"))
            .about("@id")
            .help(format!("1 to {MAX_ID} letters, digits and . _ - / # :")));
    }
    Ok(())
}

/// A role is for what is done: a `forbid` does nothing.
fn role(rule: &pst::Template) -> Result<(), Complaint> {
    let Some(role) = rule.annotations.get(ROLE) else { return Ok(()) };
    let about = format!("@{ROLE}");
    if rule.effect == pst::Effect::Forbid {
        return Err(Complaint::new("a `forbid` assumes no role").about(about).help("use a `permit`"));
    }
    if role_account(role).is_none() {
        return Err(Complaint::new(format!("`@{ROLE}(\"{role}\")` is not the ARN of a role"))
            .about(about)
            .help("write @role(\"arn:aws:iam::123456789012:role/name\")"));
    }
    Ok(())
}

/// What a rule says of revealing and inserting although nobody will ask it, or although it makes no difference.
fn own_actions(rule: &pst::Template) -> Vec<Complaint> {
    let named = |name| Rule::actions(rule).is_ok_and(|actions| actions.contains(&name));
    let scope = |action: &str| format!("name it in the scope: action == Action::\"{action}\"");
    let reads =
        |attribute| context_accesses(rule).iter().any(|access| access.path.first() == Some(&attribute));
    let (reveals, inserts) = (is_asked_to_reveal(rule), is_asked_to_insert(rule));
    let mut complaints = Vec::new();
    let each = [
        (REVEAL, ActionName::Reveal, reveals, "nothing is revealed in a role", "whether to reveal anything"),
        (INSERT, ActionName::Insert, inserts, "nothing is inserted in a role", "whether to insert anything"),
    ];
    for (action, name, asked, in_role, whether) in each {
        let is_it =
            |part: &Expr| matches!(part, Expr::Literal(Literal::EntityUID(uid)) if is_action(uid, action));
        if named(name) && rule.annotations.contains_key(ROLE) {
            let complaint = Complaint::new(in_role).about(format!("@{ROLE}"));
            complaints.push(complaint.help("write a rule of its own for what is done in the role"));
        } else if !asked && each_clause(rule).flat_map(each_part).any(is_it) {
            let complaint = Complaint::new(format!("this rule is never asked {whether}"));
            complaints.push(complaint.about(action).help(scope(action)));
        }
    }
    if complaints.is_empty() && !reveals && !inserts && reads(FIELD) {
        let where_it_is = "is there only where it is asked whether to reveal or to insert something";
        let complaint = Complaint::new(format!("`context.{FIELD}` {where_it_is}")).about(FIELD);
        complaints.push(complaint.help(format!("{}, or \"{INSERT}\"", scope(REVEAL))));
    }
    if complaints.is_empty() && !inserts && reads(SECRET) {
        let where_it_is = "is there only where it is asked whether to insert something";
        let complaint = Complaint::new(format!("`context.{SECRET}` {where_it_is}")).about(SECRET);
        complaints.push(complaint.help(scope(INSERT)));
    }
    complaints
}

/// A `permit` that lets secrets be put into any parameter, also into those that can be read again.
pub(super) fn inserts_anywhere(rule: &pst::Template) -> Option<Complaint> {
    let named = Rule::actions(rule).is_ok_and(|actions| actions.contains(&ActionName::Insert));
    let reads = context_accesses(rule).iter().any(|access| access.path.first() == Some(&FIELD));
    (named && rule.effect == pst::Effect::Permit && !reads).then(|| {
        Complaint::new(
            "this rule lets secrets be put into any parameter, also where the agent can read them again",
        )
        .about(INSERT)
        .help("say into which: context.field == \"Environment.Variables{}\"")
    })
}

fn is_action(uid: &pst::EntityUID, name: &str) -> bool {
    uid.ty.to_string() == "Action" && uid.eid.as_str() == name
}

#[derive(Debug, Default)]
struct Checker {
    complaints: Vec<Complaint>,
    /// Resource attributes read, and those a `has` asks for.
    read: BTreeSet<&'static str>,
    guarded: BTreeSet<&'static str>,
}

impl Checker {
    fn complain(&mut self, result: Result<(), Complaint>) {
        self.complaints.extend(result.err());
    }

    fn annotations(&mut self, rule: &pst::Template) {
        for name in rule.annotations.keys() {
            let name = name.as_str();
            if ANNOTATIONS.contains(&name) {
                continue;
            }
            self.complaints.push(
                Complaint::new(format!("unknown annotation `@{name}`"))
                    .help(suggest(name, &ANNOTATIONS, "annotations"))
                    .about(format!("@{name}")),
            );
        }
        self.approval(rule);
        self.complain(role(rule));
        if let Some(id) = rule.annotations.get("id") {
            self.complain(check_id(id));
        }
    }

    /// An approval permits, it never overrides; and a rule that names reviewers must wait for them.
    fn approval(&mut self, rule: &pst::Template) {
        let has = |name: &str| rule.annotations.contains_key(name);
        let reads = context_accesses(rule).iter().any(|access| access.path.first() == Some(&APPROVAL));
        let asks = has(REVIEWERS);
        let complaint = match rule.effect {
            pst::Effect::Forbid if reads => Complaint::new("an approval never overrides a `forbid`")
                .about(APPROVAL)
                .help("write a `permit` that needs the approval, and permit the call nowhere else"),
            pst::Effect::Forbid if asks => {
                Complaint::new("a `forbid` asks nobody").about(format!("@{REVIEWERS}")).help("use a `permit`")
            }
            pst::Effect::Permit if reads && !asks => {
                Complaint::new("nobody is named who could approve").about(APPROVAL).help(
                    "add @reviewers(\"group\"), the group that the condition wants in context.approval.groups",
                )
            }
            pst::Effect::Permit if asks && !reads => {
                Complaint::new("this rule permits without waiting for its reviewers")
                    .about(format!("@{REVIEWERS}"))
                    .help("add: when { context has approval && context.approval.groups.contains(\"group\") }")
            }
            pst::Effect::Permit | pst::Effect::Forbid => {
                match APPROVAL_DETAILS.into_iter().find(|name| has(name) && !asks) {
                    None => return self.complain(Terms::read(rule).map(drop)),
                    Some(name) => Complaint::new(format!("`@{name}` says more about an approval, and none is asked for"))
                        .about(format!("@{name}"))
                        .help("add @reviewers(\"group\")"),
                }
            }
        };
        self.complaints.push(complaint);
    }

    fn scope(&mut self, rule: &pst::Template) {
        match &rule.principal {
            pst::PrincipalConstraint::Any => {}
            pst::PrincipalConstraint::Eq(whom) => self.scope_entity(whom, "principal ==", &["Workload"]),
            pst::PrincipalConstraint::In(whom) => {
                self.scope_entity(whom, "principal in", &["Workload", "Group"]);
            }
            pst::PrincipalConstraint::Is(kind) => {
                self.complain(expect_type(kind, "principal is", &["Workload"]))
            }
            pst::PrincipalConstraint::IsIn(kind, whom) => {
                self.complain(expect_type(kind, "principal is", &["Workload"]));
                self.scope_entity(whom, "principal in", &["Workload", "Group"]);
            }
        }
        match &rule.action {
            pst::ActionConstraint::Any => {}
            pst::ActionConstraint::Eq(action) => self.complain(check_literal(action, false)),
            pst::ActionConstraint::In(actions) => {
                for action in actions {
                    self.complain(check_literal(action, true));
                }
            }
        }
        match &rule.resource {
            pst::ResourceConstraint::Any => {}
            pst::ResourceConstraint::Eq(what) => self.scope_entity(what, "resource ==", &["Resource"]),
            pst::ResourceConstraint::Is(kind) => {
                self.complain(expect_type(kind, "resource is", &["Resource"]))
            }
            pst::ResourceConstraint::In(_) | pst::ResourceConstraint::IsIn(..) => {
                self.complaints.push(resources_have_no_groups());
            }
        }
    }

    fn scope_entity(&mut self, entity: &pst::EntityOrSlot, place: &str, types: &[&str]) {
        match entity {
            pst::EntityOrSlot::Entity(uid) => {
                self.complain(expect_type(&uid.ty, place, types).and_then(|()| check_literal(uid, true)));
            }
            pst::EntityOrSlot::Slot(_) => self.complaints.push(no_templates()),
        }
    }

    /// Walks an expression with a list instead of recursion: its depth is the author's choice.
    fn condition(&mut self, root: &Expr) {
        // With each expression: whether it stands right of `in`, where groups are at home.
        let mut waiting = vec![(root, false)];
        while let Some((expr, right_of_in)) = waiting.pop() {
            match expr {
                Expr::Literal(Literal::EntityUID(uid)) => self.complain(check_literal(uid, right_of_in)),
                Expr::GetAttr { expr: of, attr } => self.attribute(of, attr, false),
                Expr::HasAttr { expr: of, attrs } => self.attribute(of, attrs.first(), true),
                Expr::Is { entity_type, expr: what, .. } => {
                    let types: &[&str] = match &**what {
                        Expr::Var(Var::Principal) => &["Workload"],
                        Expr::Var(Var::Action) => &["Action"],
                        Expr::Var(Var::Resource) => &["Resource"],
                        _ => &TYPES,
                    };
                    self.complain(expect_type(entity_type, "is", types));
                }
                Expr::BinaryOp { op, left, right } => self.operator(op, left, right),
                Expr::Slot(_) => self.complaints.push(no_templates()),
                Expr::Literal(_)
                | Expr::Var(_)
                | Expr::UnaryOp { .. }
                | Expr::Like { .. }
                | Expr::IfThenElse { .. }
                | Expr::Set(_)
                | Expr::Record(_) => {}
                // A later Cedar may know more than this check does.
                _ => self.complaints.push(Complaint::new("this expression is not supported")),
            }
            push_children(expr, right_of_in, &mut waiting);
        }
    }

    fn operator(&mut self, op: &BinaryOp, left: &Expr, right: &Expr) {
        match op {
            BinaryOp::GetTag | BinaryOp::HasTag if matches!(left, Expr::Var(Var::Principal)) => {}
            BinaryOp::GetTag | BinaryOp::HasTag => {
                let complaint = Complaint::new("only principal has tags: the further claims of its token");
                self.complaints.push(complaint.about("Tag(").help("write `principal.hasTag(\"claim\")`"));
            }
            BinaryOp::In if matches!(left, Expr::Var(Var::Resource)) => {
                self.complaints.push(resources_have_no_groups());
            }
            BinaryOp::In => self.comparable(left, right, true),
            BinaryOp::Eq | BinaryOp::NotEq => {
                self.comparable(left, right, false);
                self.comparable(right, left, false);
            }
            _ => {}
        }
    }

    /// `principal == Resource::"…"` and the like can never hold.
    fn comparable(&mut self, variable: &Expr, literal: &Expr, groups: bool) {
        let (Expr::Var(variable), Expr::Literal(Literal::EntityUID(uid))) = (variable, literal) else {
            return;
        };
        let (place, types): (&str, &[&str]) = match variable {
            Var::Principal if groups => ("principal in", &["Workload", "Group"]),
            Var::Principal => ("principal ==", &["Workload"]),
            Var::Action => ("action", &["Action"]),
            Var::Resource => ("resource", &["Resource"]),
            Var::Context => return,
        };
        self.complain(expect_type(&uid.ty, place, types));
    }

    fn attribute(&mut self, of: &Expr, attr: &str, asks: bool) {
        let known: &[&str] = match of {
            Expr::Var(Var::Context) => &CONTEXT,
            Expr::Var(Var::Resource) => &RESOURCE,
            Expr::Var(Var::Principal) if PRINCIPAL.contains(&attr) => return,
            Expr::Var(Var::Principal) => {
                self.complaints.push(
                    Complaint::new(format!("`principal` has no attribute `{attr}`")).about(attr).help(
                        "it has `issuer` and `subject`; further claims of its token are tags: \
                         principal.hasTag(\"claim\") && principal.getTag(\"claim\") == \"…\"",
                    ),
                );
                return;
            }
            Expr::Var(Var::Action) => {
                self.complaints.push(
                    Complaint::new(format!("action has no attributes such as `{attr}`"))
                        .about(attr)
                        .help("compare it: action == Action::\"…\", action in Action::\"…\""),
                );
                return;
            }
            // Inside `context.params` any name may occur.
            _ => return,
        };
        let of_resource = matches!(of, Expr::Var(Var::Resource));
        if let Some(optional) = RESOURCE_OPTIONAL.into_iter().find(|name| of_resource && *name == attr) {
            if asks { &mut self.guarded } else { &mut self.read }.insert(optional);
        }
        if known.contains(&attr) {
            return;
        }
        let complaint = match (of_resource, attr) {
            (false, _) => Complaint::new(format!("`context` has no attribute `{attr}`")).help(suggest(
                attr,
                &CONTEXT,
                "attributes of context",
            )),
            (true, _) => Complaint::new(format!("`resource` has no attribute `{attr}`")).help(suggest(
                attr,
                &RESOURCE,
                "attributes of resource",
            )),
        };
        self.complaints.push(complaint.about(attr));
    }

    /// An attribute that some ARNs lack must be asked for first, or the rule fails on those.
    /// Every ARN has a service; only a rule that is also read for `Resource::"*"` can miss it.
    fn unguarded(&mut self, read_for_any: bool) {
        for attr in self.read.difference(&self.guarded) {
            if *attr == "service" && !read_for_any {
                continue;
            }
            self.complaints.push(
                Complaint::new(format!("`resource.{attr}` is read without asking whether there is one"))
                    .about(format!("resource.{attr}"))
                    .help(format!("write `resource has {attr} && resource.{attr} …`: not every ARN has one")),
            );
        }
    }
}

fn push_children<'a>(expr: &'a Expr, right_of_in: bool, waiting: &mut Vec<(&'a Expr, bool)>) {
    match expr {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => waiting.push((expr, false)),
        Expr::BinaryOp { op, left, right } => {
            waiting.push((right, matches!(op, BinaryOp::In)));
            waiting.push((left, false));
        }
        Expr::Is { expr, in_expr, .. } => {
            waiting.extend(in_expr.as_deref().map(|group| (group, true)));
            waiting.push((expr, false));
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            waiting.extend([(&**else_expr, right_of_in), (&**then_expr, right_of_in), (&**cond, false)]);
        }
        Expr::Set(items) => waiting.extend(items.iter().map(|item| (&**item, right_of_in))),
        Expr::Record(fields) => waiting.extend(fields.values().map(|value| (&**value, false))),
        _ => {}
    }
}

fn expect_type(kind: &pst::EntityType, place: &str, types: &[&str]) -> Result<(), Complaint> {
    let written = kind.to_string();
    if types.contains(&written.as_str()) {
        return Ok(());
    }
    let complaint = if TYPES.contains(&written.as_str()) {
        Complaint::new(format!("`{place} {written}` can never hold"))
            .help(format!("use {}", types.join(" or ")))
    } else {
        Complaint::new(format!("unknown entity type `{written}`")).help(suggest(
            &written,
            &TYPES,
            "entity types",
        ))
    };
    Err(complaint.about(written))
}

/// Checks an entity literal; `groups` tells whether a group of actions has a meaning here.
fn check_literal(uid: &pst::EntityUID, groups: bool) -> Result<(), Complaint> {
    let (kind, id) = (uid.ty.to_string(), uid.eid.as_str());
    match kind.as_str() {
        "Action" => match ActionName::parse(id)? {
            name if groups || !name.is_group() => Ok(()),
            _ => Err(Complaint::new(format!("`{id}` is a group: no action equals it"))
                .about(id)
                .help(format!("write `action in Action::\"{id}\"`"))),
        },
        "Resource" => names::check_resource(id),
        "Workload" => id
            .parse::<WorkloadName>()
            .map(drop)
            .map_err(|error| Complaint::new(error.to_string()).about(format!("\"{id}\""))),
        "Group" if id.is_empty() => Err(Complaint::new("a group has a name").about("Group::\"\"")),
        "Group" if !groups => {
            Err(Complaint::new(format!("`Group::\"{id}\"` is a group: no principal equals it"))
                .about(id)
                .help(format!("write `principal in Group::\"{id}\"`")))
        }
        "Group" => Ok(()),
        _ => expect_type(&uid.ty, "", &TYPES),
    }
}

pub(super) fn no_templates() -> Complaint {
    Complaint::new("templates (`?principal`, `?resource`) are not supported")
        .about("?")
        .help("write one rule for each principal or resource")
}

fn resources_have_no_groups() -> Complaint {
    Complaint::new("resources are in no group, so `resource in` would match only the resource itself")
        .about("resource in")
        .help("use `resource == Resource::\"…\"`, or when { resource.arn like \"arn:aws:s3:::bucket/*\" }")
}

/// The closest of the known names, or all of them.
fn suggest(name: &str, known: &[&str], what: &str) -> String {
    match meant(name, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("{what}: {}", known.join(", ")),
    }
}
