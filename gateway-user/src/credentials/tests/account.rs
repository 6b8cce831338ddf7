//! The account that the keys are of.

use super::{endpoint::*, support::*};
use crate::credentials::*;

async fn account(source: &Source, region: &str, caller: &Caller) -> Option<String> {
    source.account(&region.parse().unwrap(), caller).await.map(|account| account.to_string())
}

#[tokio::test]
async fn the_account_of_a_role_needs_no_sts() {
    let (clock, ambient) = (clock(), Ambient::default());
    let source = source(&ambient, Config::default(), &clock);
    assert_eq!(account(&source, "eu-central-1", &caller(Some(ROLE))).await.unwrap(), "123456789012");
    assert_eq!(ambient.asked(), 0);
}

#[tokio::test]
async fn the_account_of_the_gateways_keys_is_asked_for_once() {
    let sts = sts(vec![identity("222233334444")]).await;
    let clock = clock();
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock);
    for _ in 0..3 {
        assert_eq!(account(&source, "eu-central-1", &caller(None)).await.unwrap(), "222233334444");
    }
    let requests = sts.requests.lock().unwrap().clone();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert!(request.contains("Action=GetCallerIdentity"), "{request}");
    assert!(request.contains("Credential=AKIA1/"), "{request}");
}

#[tokio::test]
async fn the_account_of_renewed_keys_is_asked_for_again() {
    let sts = sts(vec![identity("222233334444"), identity("555566667777")]).await;
    let clock = clock();
    let ambient = Ambient::expiring(1000);
    let source = source(&ambient, at_endpoint(&sts), &clock);
    let caller = caller(None);
    assert_eq!(account(&source, "eu-central-1", &caller).await.unwrap(), "222233334444");
    let decided = permit(Some("222233334444"), &caller);
    assert_eq!(source.keys(&decided, &caller, &everything()).await.unwrap().access_key_id, "AKIA1");
    // Between the decision and the signing the keys become another account's.
    clock.set(at(1500));
    ambient.set(9000);
    let error = source.keys(&decided, &caller, &everything()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the call was decided for account 222233334444, but the gateway's keys are of 555566667777"
    );
    assert_eq!(account(&source, "eu-central-1", &caller).await.unwrap(), "555566667777");
}

#[tokio::test]
async fn an_account_that_sts_does_not_tell_is_unknown_for_a_while() {
    let sts = sts(vec![Some((403, NO.to_owned())), identity("222233334444")]).await;
    let clock = clock();
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock);
    let caller = caller(None);
    assert_eq!(account(&source, "us-gov-west-1", &caller).await, None);
    assert_eq!(account(&source, "us-gov-west-1", &caller).await, None);
    assert_eq!(sts.requests.lock().unwrap().len(), 1);
    // Another region is asked at once: agents choose the region.
    assert_eq!(account(&source, "eu-central-1", &caller).await.unwrap(), "222233334444");
    assert_eq!(account(&source, "us-gov-west-1", &caller).await.unwrap(), "222233334444");
}

#[tokio::test]
async fn a_failed_question_for_the_account_is_asked_again_later() {
    let sts = sts(vec![Some((403, NO.to_owned())), identity("222233334444")]).await;
    let clock = clock();
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock);
    assert_eq!(account(&source, "eu-central-1", &caller(None)).await, None);
    clock.set(at(61));
    assert_eq!(account(&source, "eu-central-1", &caller(None)).await.unwrap(), "222233334444");
}

#[tokio::test]
async fn sts_is_not_asked_for_the_account_where_that_is_turned_off() {
    let sts = sts(vec![identity("222233334444")]).await;
    let config = Config { learn_account: false, ..at_endpoint(&sts) };
    let source = source(&Ambient::default(), config, &clock());
    assert_eq!(account(&source, "eu-central-1", &caller(None)).await, None);
    assert!(sts.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_failure_to_learn_the_account_of_minted_keys_passes() {
    let sts = sts(vec![Some((403, NO.to_owned())), identity("222233334444")]).await;
    let clock = clock();
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock);
    let caller = caller(None);
    let keys = GivenKeys {
        access_key_id: "ASIAMINTED".to_owned(),
        secret: SecretText::new("secret".to_owned()),
        session_token: SecretText::new("token".to_owned()),
        expires: None,
        account: None,
        role: None,
    };
    let minted = caller.session.keep(keys).unwrap();
    let region = region();
    let account = async || source.account_given(&minted, &region, &caller).await.map(|it| it.to_string());
    assert_eq!(account().await, None);
    assert_eq!(account().await, None);
    assert_eq!(sts.requests.lock().unwrap().len(), 1);
    clock.set(at(61));
    for _ in 0..2 {
        assert_eq!(account().await.unwrap(), "222233334444");
    }
    let requests = sts.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].contains("Credential=ASIAMINTED/"), "{}", requests[1]);
}
