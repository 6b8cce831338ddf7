use time::Duration;

use super::*;

/// Decides with these calls of the session, and these of the workload's day, allowed before.
fn verdict(text: &str, session: &[Charge], day: &[Charge], call: Operation) -> bool {
    let (mut used, mut used_day) = (SessionUsage::default(), DayUsage::default());
    session.iter().for_each(|charge| used.add(charge));
    day.iter().for_each(|charge| used_day.add(charge));
    let facts = Facts { now: now(), session: &used, day: &used_day };
    matches!(policies(text).decide(&caller(&[]), call, facts), Verdict::Allow(_))
}

fn run(instances: i64) -> Operation {
    let mut call = operation(&[("ec2:RunInstances", "*"), ("ec2:RunInstances", "arn:aws:ec2:::image/x")]);
    call.params.insert("MaxCount".to_owned(), Param::Number(instances));
    call
}

/// With the sum of MaxCount, which some rule reads.
fn charge(call: &Operation, seconds: i64) -> Charge {
    let sums = ["ec2:RunInstances/MaxCount".to_owned()].into();
    Charge::of(call, now() - Duration::seconds(seconds), &sums)
}

fn before(seconds: i64, call: &Operation) -> Charge {
    charge(call, seconds)
}

const PERMIT: &str = "permit (principal, action, resource);";

#[test]
fn budgets() {
    let list = operation(&[("s3:ListAllMyBuckets", "*")]);
    let check = |condition: &str, session: &[Charge], day: &[Charge], allowed: bool| {
        let text = format!(
            "{PERMIT} forbid (principal, action == Action::\"ec2:RunInstances\", resource) when {{ {condition} }};"
        );
        assert_eq!(verdict(&text, session, day, run(3)), allowed, "{condition}");
    };
    let two = [before(10, &run(4)), before(5, &run(2)), before(5, &list)];

    let count = "context.session.counts[\"ec2:RunInstances\"] >= 2";
    check(count, &[], &two, true);
    check(count, &two[..1], &[], true);
    check(count, &two, &[], false);
    // As the policy's author may write it, too.
    check(&format!("context.session.counts has \"ec2:RunInstances\" && {count}"), &two, &[], false);

    let sum = "context.params has MaxCount && \
        context.session.sums[\"ec2:RunInstances/MaxCount\"] + context.params.MaxCount > 8";
    check(sum, &two[..1], &[], true);
    check(sum, &two, &[], false);

    check("context.session.calls >= 3", &two[1..], &[], true);
    check("context.session.calls >= 3", &two, &[], false);
    check("context.workload_day.calls >= 3", &two, &[], true);
    check("context.workload_day.calls >= 3", &[], &two, false);
    check("context.workload_day.counts[\"ec2:RunInstances\"] >= 2", &[], &two, false);
    check("context.workload_day.sums[\"ec2:RunInstances/MaxCount\"] > 5", &[], &two, false);

    let rate = "context.session.calls_last_minute >= 2";
    check(rate, &[before(60, &list), before(59, &list)], &[], true);
    check(rate, &[before(59, &list), before(0, &list)], &[], false);
    check("context.workload_day.calls_last_minute >= 1", &[], &[before(59, &list)], false);
    check("context.session.age > 3600", &[], &[], false);
}

#[test]
fn a_day_forgets() {
    let day = "context.workload_day.counts[\"ec2:RunInstances\"] >= 1";
    let text = format!("{PERMIT} forbid (principal, action, resource) when {{ {day} }};");
    assert!(!verdict(&text, &[], &[before(23 * 3600, &run(1))], run(1)));
    let mut old = DayUsage::default();
    old.add(&before(26 * 3600, &run(1)));
    assert!(!old.is_empty());
    old.forget(now());
    assert!(old.is_empty());
}

#[test]
fn what_is_given_back_is_as_if_it_had_not_been() {
    let text = format!(
        "{PERMIT} forbid (principal, action, resource) when {{
            context.session.calls > 0 || context.session.calls_last_minute > 0 ||
            context.session.counts[\"ec2:RunInstances\"] > 0 ||
            context.session.sums[\"ec2:RunInstances/MaxCount\"] > 0 ||
            context.workload_day.calls > 0 || context.workload_day.calls_last_minute > 0 ||
            context.workload_day.counts[\"ec2:RunInstances\"] > 0 ||
            context.workload_day.sums[\"ec2:RunInstances/MaxCount\"] > 0 }};"
    );
    let set = policies(&text);
    let charge = before(0, &run(3));
    let (mut session, mut day) = (SessionUsage::default(), DayUsage::default());
    let allowed = |session: &SessionUsage, day: &DayUsage| {
        let facts = Facts { now: now(), session, day };
        matches!(set.decide(&caller(&[]), run(1), facts), Verdict::Allow(_))
    };
    session.add(&charge);
    day.add(&charge);
    assert!(!allowed(&session, &DayUsage::default()) && !allowed(&SessionUsage::default(), &day));
    session.give_back(&charge);
    day.give_back(&charge);
    assert!(allowed(&session, &day));
}

#[test]
fn a_call_counts_once_for_an_action_and_never_below_zero() {
    let negative = charge(&run(-5), 0);
    assert_eq!(negative.actions, ["ec2:RunInstances"]);
    assert!(negative.sums.is_empty());
    assert_eq!(charge(&run(5), 0).sums, [("ec2:RunInstances/MaxCount".to_owned(), 5)]);
    // What no rule reads is not kept: an agent could name parameters without end.
    assert!(Charge::of(&run(5), now(), &Default::default()).sums.is_empty());
    // Sums do not wrap.
    let most = charge(&run(i64::MAX), 0);
    let sum = "context.session.sums[\"ec2:RunInstances/MaxCount\"] > 10";
    let text = format!("{PERMIT} forbid (principal, action, resource) when {{ {sum} }};");
    assert!(!verdict(&text, &[most.clone(), most], &[], run(1)));
}

#[test]
fn only_decisions_that_need_counters_are_made_one_by_one() {
    let check = |text: &str, action: &str, counts: bool| {
        assert_eq!(policies(text).counts(&operation(&[(action, "*")])), counts, "{text}");
    };
    let limited = format!(
        "{PERMIT} forbid (principal, action in Action::\"ec2:Write\", resource) when {{ context.session.calls > 5 }};"
    );
    check(PERMIT, "ec2:RunInstances", false);
    check(&limited, "ec2:RunInstances", true);
    check(&limited, "s3:GetObject", false);
}

/// The call sees which parameters were not read.
#[test]
fn unread_parameters() {
    let text = format!(
        "{PERMIT} forbid (principal, action, resource) when {{ context.unread.contains(\"Body\") }};"
    );
    let mut call = operation(&[("s3:PutObject", "*")]);
    assert!(verdict(&text, &[], &[], call.clone()));
    call.unread.insert("Body".to_owned());
    assert!(!verdict(&text, &[], &[], call));
}
