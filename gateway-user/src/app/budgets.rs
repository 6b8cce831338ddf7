//! What was allowed before this start counts on.

use std::collections::HashSet;

use anyhow::Context as _;
use time::OffsetDateTime;

use crate::{
    decide::{Charge, Policies, sum_name},
    identify::Registry,
    prim::SessionId,
    record::{
        self,
        query::{Amount, Reader, Used},
    },
    serve::Ledger,
};

/// What the session database says was allowed lately, if any rule limits it: it takes some seconds for
/// each hundred thousand calls of a day.
pub(super) async fn used(
    config: &record::Config,
    policies: &Policies,
    now: OffsetDateTime,
) -> anyhow::Result<Vec<Used>> {
    if !policies.limits() {
        return Ok(Vec::new());
    }
    let params: Vec<&str> = policies.summed().collect();
    let reader = Reader::open(config).await.context("reading what was allowed before")?;
    reader.used(now, &params).await.context("reading what was allowed before")
}

/// The counters as they were when the daemon ended.
pub(super) fn restore(registry: &Registry, used: Vec<Used>, now: OffsetDateTime) -> Ledger {
    let open: HashSet<SessionId> = registry.open().iter().map(|session| session.id).collect();
    let ledger = Ledger::default();
    for Used { session, workload, at, actions, amount } in used {
        let session = open.contains(&session).then_some(session);
        let charge = match amount {
            Amount::Calls(calls) => Charge { at, calls, actions, sums: Vec::new() },
            Amount::Sum(param, sum) => {
                let sums = actions.iter().map(|action| (sum_name(action, &param), sum)).collect();
                Charge { at, calls: 0, actions: Vec::new(), sums }
            }
        };
        ledger.restore(&workload, session, &charge, now);
    }
    ledger
}
