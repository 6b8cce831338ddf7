use super::*;

/// `{SecretString, SecretBinary, Parameters: [{Value}], Environment: {Variables: {*}}, Auth: (all of it), Pin, Flag,
/// Due, Tree: {Key, Children: [Tree]}}`.
pub(in crate::mask) fn sample() -> Plan {
    let mut plan = Plan::builder();
    let root = plan.structure();
    for (name, kind) in [
        ("SecretString", Kind::Text),
        ("SecretBinary", Kind::Blob),
        ("Pin", Kind::Number),
        ("Flag", Kind::Boolean),
        ("Due", Kind::Timestamp),
        ("Auth", Kind::Any),
    ] {
        let field = plan.field(name, kind);
        let secret = plan.secret(field);
        plan.member(root, name, secret);
    }
    let value = plan.field("Parameters[].Value", Kind::Text);
    let value = plan.secret(value);
    let parameter = plan.structure();
    plan.member(parameter, "Value", value);
    let parameters = plan.list(parameter);
    plan.member(root, "Parameters", parameters);

    let variable = plan.field("Environment.Variables{}", Kind::Text);
    let variable = plan.secret(variable);
    let variables = plan.map(variable);
    let environment = plan.structure();
    plan.member(environment, "Variables", variables);
    plan.member(root, "Environment", environment);

    let tree = plan.structure();
    let key = plan.field("Tree.Key", Kind::Text);
    let key = plan.secret(key);
    let children = plan.list(tree);
    plan.member(tree, "Key", key).member(tree, "Children", children);
    plan.member(root, "Tree", tree);
    plan.build(root).unwrap()
}

#[test]
fn a_plan_is_sound() {
    let built = |fill: &dyn Fn(&mut Builder) -> NodeId| {
        let mut builder = Plan::builder();
        let root = fill(&mut builder);
        builder.build(root).map(|_| ())
    };
    let mut other = Plan::builder();
    for _ in 0..9 {
        other.structure();
    }
    let foreign = other.structure();
    let foreign_field = (0..9).map(|_| other.field("x", Kind::Text)).last().unwrap();
    assert_eq!(built(&|plan| plan.structure()), Ok(()));
    assert_eq!(built(&|_| foreign), Err(PlanError::Dangling));
    assert_eq!(built(&|plan| plan.list(foreign)), Err(PlanError::Dangling));
    assert_eq!(built(&|plan| plan.secret(foreign_field)), Err(PlanError::Dangling));
    let member = |structure: Option<NodeId>, name: &'static str, node: Option<NodeId>| {
        built(&move |plan| {
            let root = plan.structure();
            let field = plan.field("x", Kind::Text);
            let secret = plan.secret(field);
            plan.member(structure.unwrap_or(root), name, node.unwrap_or(secret));
            root
        })
    };
    assert_eq!(member(None, "a", None), Ok(()));
    assert_eq!(member(None, "a", Some(foreign)), Err(PlanError::Dangling));
    assert_eq!(member(Some(foreign), "a", None), Err(PlanError::NotInside("a".to_owned())));
    assert_eq!(member(None, "", None), Err(PlanError::Name(String::new())));
    let long = "x".repeat(NAME_MAX + 1);
    let (long, fits) = (long.clone().leak() as &str, long.leak().split_at(NAME_MAX).0);
    assert_eq!(member(None, fits, None), Ok(()));
    assert_eq!(member(None, long, None), Err(PlanError::Name(long.to_owned())));
    assert_eq!(
        built(&|plan| {
            let root = plan.structure();
            plan.member(root, "a", root).member(root, "b", root).member(root, "a", root);
            root
        }),
        Err(PlanError::Twice("a".to_owned()))
    );
    assert_eq!(
        built(&|plan| {
            let list = plan.structure();
            plan.map_key(list, "k");
            list
        }),
        Err(PlanError::NotInside("k".to_owned()))
    );
    assert_eq!(
        built(&|plan| {
            plan.header("x-secret", foreign_field);
            plan.structure()
        }),
        Err(PlanError::Dangling)
    );
    assert_eq!(
        built(&|plan| {
            plan.event("a", None, &[]).event("a", None, &[]);
            plan.structure()
        }),
        Err(PlanError::Twice("a".to_owned()))
    );
}

#[test]
fn revealed_fields_are_a_set() {
    let plan = sample();
    let ids: Vec<FieldId> = plan.fields_at("Tree.Key").chain(plan.fields_at("Pin")).collect();
    assert_eq!(ids.len(), 2);
    let revealed: Revealed = ids.iter().copied().collect();
    for (field, at) in plan.fields().iter().zip(0..) {
        let id = plan.fields_at(&field.path).next().unwrap();
        assert_eq!(id.at(), at);
        assert_eq!(revealed.contains(id), ids.contains(&id), "{}", field.path);
    }
    let mut far = Plan::builder();
    let id = (0..200).map(|_| far.field("x", Kind::Text)).last().unwrap();
    assert!(!revealed.contains(id));
}
