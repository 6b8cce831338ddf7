use std::{
    collections::BTreeMap,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;
use crate::{
    classify::{ActionOn, Param},
    identify::{self, WorkloadConfig},
    parse::RequestDigest,
};

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

fn caller(workload: &str) -> Caller {
    identify::testing::caller(WorkloadConfig::named(workload.parse().unwrap()), now())
}

fn run() -> Operation {
    Operation {
        service: "ec2".to_owned(),
        name: "RunInstances".to_owned(),
        region: "eu-central-1".parse().unwrap(),
        account: None,
        actions: vec![ActionOn { action: "ec2:RunInstances".to_owned(), resource: "*".to_owned() }],
        params: BTreeMap::from([("MaxCount".to_owned(), Param::Number(2))]),
        unread: Default::default(),
        keys: None,
        withheld: Vec::new(),
        tokens: Vec::new(),
        model: Default::default(),
        digest: RequestDigest([7; 32]),
    }
}

fn limit(condition: &str) -> Policies {
    let text = format!(
        "permit (principal, action, resource);
         forbid (principal, action == Action::\"ec2:RunInstances\", resource) when {{ {condition} }};"
    );
    Policies::parse([("p.cedar".into(), text)]).unwrap()
}

const ONE_PER_SESSION: &str = "context.session.counts[\"ec2:RunInstances\"] >= 1";
const FIVE_PER_WORKLOAD: &str = "context.workload_day.sums[\"ec2:RunInstances/MaxCount\"] >= 10";

fn allowed(ledger: &Ledger, policies: &Policies, caller: &Caller) -> Option<Reservation> {
    let (verdict, reservation) = ledger.decide(policies, caller, run(), now());
    assert_eq!(matches!(verdict, Verdict::Allow(_)), reservation.is_some());
    reservation
}

/// Every thread asks at the same moment: exactly as many are allowed as the budget has room for.
fn race(condition: &str, callers: &[Caller], expected: usize) {
    let (ledger, policies, won) = (Ledger::default(), limit(condition), AtomicUsize::new(0));
    let start = Barrier::new(32);
    thread::scope(|scope| {
        for number in 0..32 {
            let caller = &callers[number % callers.len()];
            let (ledger, policies, won, start) = (&ledger, &policies, &won, &start);
            scope.spawn(move || {
                start.wait();
                if let Some(reservation) = allowed(ledger, policies, caller) {
                    won.fetch_add(1, Ordering::Relaxed);
                    reservation.keep();
                }
            });
        }
    });
    assert_eq!(won.load(Ordering::Relaxed), expected, "{condition}");
}

#[test]
fn calls_at_once_cannot_overdraw_a_budget() {
    for _ in 0..20 {
        race(ONE_PER_SESSION, &[caller("a")], 1);
        race(ONE_PER_SESSION, &[caller("a"), caller("a"), caller("b")], 3);
        race(FIVE_PER_WORKLOAD, &[caller("a"), caller("a")], 5);
        race(FIVE_PER_WORKLOAD, &[caller("a"), caller("b")], 10);
    }
}

#[test]
fn what_is_not_sent_is_given_back() {
    let (ledger, policies, caller) = (Ledger::default(), limit(ONE_PER_SESSION), caller("a"));
    let reserved = allowed(&ledger, &policies, &caller).expect("room");
    assert!(allowed(&ledger, &policies, &caller).is_none(), "reserved at the decision");
    drop(reserved);
    allowed(&ledger, &policies, &caller).expect("given back").keep();
    assert!(allowed(&ledger, &policies, &caller).is_none(), "sent is sent");
}

/// Calls that no limit is about are counted for limits that a later reload brings.
#[test]
fn calls_without_a_limit_count_too() {
    let (ledger, caller) = (Ledger::default(), caller("a"));
    let unlimited =
        Policies::parse([("p.cedar".into(), "permit (principal, action, resource);".to_owned())]).unwrap();
    allowed(&ledger, &unlimited, &caller).expect("permitted").keep();
    assert!(allowed(&ledger, &limit(ONE_PER_SESSION), &caller).is_none());
}

#[test]
fn earlier_runs_count_on() {
    let caller = caller("a");
    let session = caller.session.id;
    let name = &caller.session.workload.name;
    let charge = limit(FIVE_PER_WORKLOAD).charge(&run(), now());
    let with = |session: Option<SessionId>, at: OffsetDateTime, condition: &str| {
        let ledger = Ledger::default();
        for _ in 0..5 {
            ledger.restore(name, session, &Charge { at, ..charge.clone() }, now());
        }
        allowed(&ledger, &limit(condition), &caller).is_some()
    };
    let long_ago = now() - time::Duration::days(3);
    assert!(!with(Some(session), long_ago, ONE_PER_SESSION));
    assert!(with(None, long_ago, ONE_PER_SESSION));
    assert!(!with(None, now(), FIVE_PER_WORKLOAD));
    assert!(with(Some(session), long_ago, FIVE_PER_WORKLOAD));
}

#[test]
fn an_ended_session_is_forgotten_and_its_workload_is_not() {
    let (ledger, caller) = (Ledger::default(), caller("a"));
    let once = limit(ONE_PER_SESSION);
    allowed(&ledger, &once, &caller).expect("room").keep();
    ledger.forget(&caller.session);
    assert!(allowed(&ledger, &once, &caller).is_some());
    let today = limit("context.workload_day.counts[\"ec2:RunInstances\"] >= 1");
    assert!(allowed(&ledger, &today, &caller).is_none());
}
