//! When keys are fetched, how often, and how long they are used.

use std::sync::Arc;

use super::{server::Server, *};

fn forward(server: &Server, seconds: i64) {
    server.clock.set(server.clock.now() + time::Duration::seconds(seconds));
}

impl Issuers {
    async fn check(&self, server: &Server, token: &SecretText) -> Result<(), &'static str> {
        self.verify(&server.name(), token).await.map(drop).map_err(|error| error.reason())
    }

    /// Waits for what goes on behind the scenes.
    async fn settled(&self, server: &Server) {
        self.issuers[&server.name()].keys.settled().await;
    }
}

#[tokio::test]
async fn keys_are_fetched_at_first_use_and_kept() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = server.issuers(|_| {});
    assert_eq!(server.counts(), (0, 0));
    let token = server.token(&signer);
    for _ in 0..10 {
        assert_eq!(issuers.check(&server, &token).await, Ok(()));
    }
    assert_eq!(server.counts(), (1, 1));
    let unknown = issuers.verify(&"other".parse().unwrap(), &token).await.unwrap_err();
    assert_eq!(unknown.reason(), "unknown-issuer");
}

#[tokio::test]
async fn nobody_is_asked_about_a_token_that_would_not_do() {
    let server = Server::start(&[]).await;
    let issuers = server.issuers(|_| {});
    let old = server.token(&Signer::ed("k"));
    forward(&server, 2 * 86_400);
    assert_eq!(issuers.check(&server, &old).await, Err("expired"));
    assert_eq!(issuers.check(&server, &SecretText::new("x".repeat(1 << 20))).await, Err("token-too-long"));
    assert_eq!(server.counts(), (0, 0));
}

#[tokio::test]
async fn one_fetch_for_all_who_come_first() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = Arc::new(server.issuers(|_| {}));
    server.hold();
    let (name, token) = (server.name(), server.token(&signer));
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (issuers, name, token) = (Arc::clone(&issuers), name.clone(), token.clone());
        tasks.spawn(async move { issuers.verify(&name, &token).await.is_ok() });
    }
    // One of them goes away while all wait; the fetch is nobody's own.
    let (going, leaver) = (Arc::clone(&issuers), name.clone());
    let leaving = tokio::spawn(async move { going.verify(&leaver, &token).await.is_ok() });
    server.asked(1).await;
    leaving.abort();
    server.release();
    assert!(tasks.join_all().await.into_iter().all(|ok| ok));
    assert_eq!(server.counts(), (1, 1));
}

/// Made-up key ids, one after the other and all at once, cost the issuer one fetch a minute.
#[tokio::test]
async fn made_up_key_ids_do_not_reach_the_issuer() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = Arc::new(server.issuers(|_| {}));
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
    for round in 1..=3 {
        let mut tasks = JoinSet::new();
        for number in 0..50 {
            let token = server.token(&Signer::ed(&format!("made-up-{round}-{number}")));
            let (issuers, name) = (Arc::clone(&issuers), server.name());
            tasks.spawn(async move { issuers.verify(&name, &token).await.map_err(|error| error.reason()) });
        }
        assert!(tasks.join_all().await.iter().all(|result| *result == Err("unknown-key")));
        assert_eq!(server.counts(), (1 + round, 1 + round));
        forward(&server, 59);
        assert_eq!(issuers.check(&server, &server.token(&Signer::ed("late"))).await, Err("unknown-key"));
        assert_eq!(server.counts(), (1 + round, 1 + round));
        forward(&server, 1);
    }
    // The known key goes on all the while.
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
}

#[tokio::test]
async fn a_new_key_is_found_and_a_withdrawn_one_refused() {
    let (old, new) = (Signer::ed("old"), Signer::ed("new"));
    let server = Server::start(&[old.jwk()]).await;
    let issuers = server.issuers(|_| {});
    let (old_token, new_token) = (server.token(&old), server.token(&new));
    assert_eq!(issuers.check(&server, &old_token).await, Ok(()));

    server.rotate(&[old.jwk(), new.jwk()]);
    assert_eq!(issuers.check(&server, &new_token).await, Ok(()));
    assert_eq!(issuers.check(&server, &old_token).await, Ok(()));
    assert_eq!(server.counts(), (2, 2));

    server.rotate(&[new.jwk()]);
    forward(&server, 3599);
    assert_eq!(issuers.check(&server, &old_token).await, Ok(()));
    issuers.settled(&server).await;
    assert_eq!(server.counts(), (2, 2));
    forward(&server, 1);
    // The old keys serve while the new ones are fetched.
    assert_eq!(issuers.check(&server, &old_token).await, Ok(()));
    issuers.settled(&server).await;
    assert_eq!(server.counts(), (3, 3));
    assert_eq!(issuers.check(&server, &new_token).await, Ok(()));
    // The old token's key is now unknown, and sought once more.
    assert_eq!(issuers.check(&server, &old_token).await, Err("unknown-key"));
    assert_eq!(server.counts(), (4, 4));
}

#[tokio::test]
async fn a_refresh_keeps_nobody_waiting() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = server.issuers(|_| {});
    let token = server.token(&signer);
    assert_eq!(issuers.check(&server, &token).await, Ok(()));
    forward(&server, 3600);
    server.hold();
    for _ in 0..10 {
        assert_eq!(issuers.check(&server, &token).await, Ok(()));
    }
    server.asked(2).await;
    server.release();
    issuers.settled(&server).await;
    assert_eq!(server.counts(), (2, 2));
}

/// Nobody brought a token for two intervals, and nobody fetched the keys meanwhile.
#[tokio::test]
async fn a_key_withdrawn_while_nobody_came_is_not_believed_once_more() {
    let (old, new) = (Signer::ed("old"), Signer::ed("new"));
    let server = Server::start(&[old.jwk()]).await;
    let issuers = server.issuers(|config| config.keys_refresh_secs = 600);
    let token = server.token(&old);
    assert_eq!(issuers.check(&server, &token).await, Ok(()));
    server.rotate(&[new.jwk()]);
    forward(&server, 1201);
    assert_eq!(issuers.check(&server, &token).await, Err("unknown-key"));
    assert_eq!(issuers.check(&server, &server.token(&new)).await, Ok(()));

    // Where the issuer does not answer, the old keys are the best there are; it is asked once a minute.
    server.set_down(true);
    forward(&server, 1201);
    let asked = server.counts().0;
    for _ in 0..3 {
        assert_eq!(issuers.check(&server, &server.token(&new)).await, Ok(()));
    }
    assert_eq!(server.counts().0, asked + 1);
}

#[tokio::test]
async fn keys_are_renewed_where_nobody_brings_tokens() {
    let (old, new) = (Signer::ed("old"), Signer::ed("new"));
    let server = Server::start(&[old.jwk()]).await;
    let issuers = server.issuers(|_| {});
    issuers.refresh().await;
    let token = server.token(&old);
    server.rotate(&[new.jwk()]);
    forward(&server, 3599);
    issuers.refresh().await;
    assert_eq!(server.counts(), (1, 1));
    forward(&server, 1);
    issuers.refresh().await;
    assert_eq!(server.counts(), (2, 2));
    assert_eq!(issuers.check(&server, &token).await, Err("unknown-key"));

    // One that is down is asked again a minute later.
    server.set_down(true);
    forward(&server, 3600);
    for (seconds, asked) in [(0, 1), (59, 1), (1, 2)] {
        forward(&server, seconds);
        issuers.refresh().await;
        assert_eq!(server.counts().0, 3 + asked, "after {seconds} s");
    }
}

#[tokio::test]
async fn an_issuer_that_goes_down_is_believed_for_a_day() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = server.issuers(|_| {});
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
    server.set_down(true);
    forward(&server, 86_400);
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
    issuers.settled(&server).await;
    assert_eq!(server.counts(), (2, 1));
    // Not asked again at every token.
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
    issuers.settled(&server).await;
    assert_eq!(server.counts(), (2, 1));
    forward(&server, 1);
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Err("issuer-down"));
    server.set_down(false);
    forward(&server, 5);
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
}

#[tokio::test]
async fn an_issuer_that_is_down_at_first_is_asked_every_five_seconds() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = server.issuers(|_| {});
    server.set_down(true);
    issuers.refresh().await;
    let token = server.token(&signer);
    for _ in 0..20 {
        assert_eq!(issuers.check(&server, &token).await, Err("issuer-down"));
    }
    forward(&server, 4);
    assert_eq!(issuers.check(&server, &token).await, Err("issuer-down"));
    assert_eq!(server.counts(), (1, 0));
    forward(&server, 1);
    assert_eq!(issuers.check(&server, &token).await, Err("issuer-down"));
    assert_eq!(server.counts(), (2, 0));
    server.set_down(false);
    forward(&server, 5);
    assert_eq!(issuers.check(&server, &token).await, Ok(()));
    assert_eq!(server.counts(), (3, 1));
}

#[tokio::test]
async fn a_refresh_fetches_once() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = server.issuers(|_| {});
    issuers.refresh().await;
    assert_eq!(server.counts(), (1, 1));
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
    assert_eq!(server.counts(), (1, 1));
}

/// A set without a usable key is an answer: the issuer has withdrawn all.
#[tokio::test]
async fn an_empty_set_withdraws_every_key() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = server.issuers(|_| {});
    let token = server.token(&signer);
    assert_eq!(issuers.check(&server, &token).await, Ok(()));
    server.rotate(&[]);
    forward(&server, 3600);
    assert_eq!(issuers.check(&server, &token).await, Ok(()));
    issuers.settled(&server).await;
    assert_eq!(issuers.check(&server, &token).await, Err("unknown-key"));
}

/// A clock that is set back must not keep old keys in use without asking.
#[tokio::test]
async fn a_clock_that_is_set_back_makes_a_refresh_due() {
    let signer = Signer::ed("k");
    let server = Server::start(&[signer.jwk()]).await;
    let issuers = server.issuers(|_| {});
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
    forward(&server, -7200);
    assert_eq!(issuers.check(&server, &server.token(&signer)).await, Ok(()));
    issuers.settled(&server).await;
    assert_eq!(server.counts(), (2, 2));
}
