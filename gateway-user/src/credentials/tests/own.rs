//! The gateway's own keys: where they come from, and for how long.

use super::support::*;
use crate::credentials::*;

#[tokio::test]
async fn ambient_keys_are_kept_and_renewed_before_their_end() {
    let (clock, ambient, caller) = (clock(), Ambient::expiring(3600), caller(None));
    let source = source(&ambient, Config::default(), &clock);
    assert_eq!(id(&source, &caller).await, "AKIA1");
    clock.set(at(3299));
    assert_eq!(id(&source, &caller).await, "AKIA1");
    // Five minutes before the end.
    ambient.set(7200);
    clock.set(at(3300));
    assert_eq!(id(&source, &caller).await, "AKIA2");
    assert_eq!(id(&source, &caller).await, "AKIA2");
    assert_eq!(ambient.asked(), 2);
    // Long after the end nothing old is left.
    ambient.set(99_999);
    clock.set(at(7200));
    assert_eq!(id(&source, &caller).await, "AKIA3");
}

#[tokio::test]
async fn a_failed_renewal_keeps_what_works_but_never_an_expired_key() {
    let (clock, ambient, caller) = (clock(), Ambient::expiring(3600), caller(None));
    let source = source(&ambient, Config::default(), &clock);
    assert_eq!(id(&source, &caller).await, "AKIA1");
    ambient.fail(true);
    clock.set(at(3400));
    assert_eq!(id(&source, &caller).await, "AKIA1");
    assert_eq!(id(&source, &caller).await, "AKIA1");
    assert_eq!(ambient.asked(), 2, "not again right after a failure");
    clock.set(at(3415));
    assert_eq!(id(&source, &caller).await, "AKIA1");
    assert_eq!(ambient.asked(), 3);
    clock.set(at(3600));
    let words = error(&source, &caller).await;
    assert!(words.starts_with("the gateway has no AWS credentials: "), "{words}");
    assert!(words.contains("nothing here"), "{words}");
    ambient.fail(false);
    ambient.set(3600);
    assert_eq!(error(&source, &caller).await, "the keys of the gateway have expired");
    ambient.set(7200);
    assert_eq!(id(&source, &caller).await, "AKIA6");
}

#[tokio::test]
async fn a_source_that_repeats_its_ageing_keys_is_not_asked_for_every_call() {
    let (clock, ambient, caller) = (clock(), Ambient::expiring(200), caller(None));
    let source = source(&ambient, Config::default(), &clock);
    for _ in 0..10 {
        assert_eq!(id(&source, &caller).await, "AKIA1");
    }
    assert_eq!(ambient.asked(), 1);
}

#[tokio::test]
async fn many_callers_make_one_flight() {
    let (clock, ambient, caller) = (clock(), Ambient::default(), caller(None));
    let source = Arc::new(source(&ambient, Config::default(), &clock));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (source, caller) = (Arc::clone(&source), caller.clone());
            tokio::spawn(async move { id(&source, &caller).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "AKIA1");
    }
    assert_eq!(ambient.asked(), 1);

    // A failure is shared by those who waited for it.
    let ambient = Ambient::default();
    ambient.fail(true);
    let source = Arc::new(self::source(&ambient, Config::default(), &clock));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (source, caller) = (Arc::clone(&source), caller.clone());
            tokio::spawn(async move { error(&source, &caller).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().contains("nothing here"));
    }
    assert_eq!(ambient.asked(), 1);
}

#[tokio::test]
async fn fixed_keys_are_what_they_are() {
    let keys = |expires| Keys {
        access_key_id: "AKIAFIXED".to_owned(),
        secret: SecretText::new("secret".to_owned()),
        session_token: None,
        expires,
    };
    let clock = clock();
    let source = Source::fixed(keys(None), clock.clone());
    assert_eq!(id(&source, &caller(Some(ROLE))).await, "AKIAFIXED");
    let source = Source::fixed(keys(Some(at(0).into())), clock);
    assert_eq!(error(&source, &caller(None)).await, "the keys of the gateway have expired");
}

#[tokio::test]
async fn a_permit_gets_its_keys() {
    let clock = clock();
    let caller = caller(None);
    let permit = permit(None, &caller);
    let source = source(&Ambient::default(), Config::default(), &clock);
    let call = tokio::spawn(async move {
        source.keys(&permit, &caller, &everything()).await.map(|keys| keys.access_key_id)
    });
    assert_eq!(call.await.unwrap().unwrap(), "AKIA1");
}
