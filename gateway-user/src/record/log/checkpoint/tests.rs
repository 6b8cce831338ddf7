//! Checkpoints as the specification has them, and what is not one.

use super::*;
use crate::record::log::key::LogKey;

fn key(name: &str, seed: u8) -> LogKey {
    LogKey::from_seed(&[seed; 32], name.parse().unwrap()).unwrap()
}

const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

/// The example of the specification.
#[test]
fn the_example_of_the_specification() {
    let text = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
    let checkpoint = Checkpoint::parse(&text).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(
        checkpoint.root().to_string(),
        "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    );
    assert_eq!(checkpoint.to_string(), text);
}

#[test]
fn what_is_not_a_checkpoint() {
    let check = |text: String, expected: CheckpointError| {
        assert_eq!(Checkpoint::parse(&text), Err(expected), "{text:?}");
    };
    for size in ["0", "1", "18446744073709551615"] {
        let text = format!("a/log\n{size}\n{ROOT}\nan extension\nanother\n");
        assert_eq!(Checkpoint::parse(&text).unwrap().to_string(), text);
    }
    for lines in [
        "",
        "a/log\n1",
        "a/log\n1\n",
        "\n1\nROOT",
        "a/log\n\nROOT",
        "a/log\n1\nROOT\n",
        "a/log\n1\nROOT\n\nx",
    ] {
        check(format!("{}\n", lines.replace("ROOT", ROOT)), CheckpointError::Lines);
    }
    check(format!("a/log\n1\n{ROOT}"), CheckpointError::Lines);
    check(String::new(), CheckpointError::Lines);
    for size in ["00", "01", "+1", "-1", " 1", "1 ", "0x1", "1.0", "18446744073709551616", "tombstone"] {
        check(format!("a/log\n{size}\n{ROOT}\n"), CheckpointError::Size);
    }
    for root in [
        "AAAA",
        &ROOT.replace('=', ""),
        &ROOT.replace("2I=", "2J="),
        &format!(" {ROOT}"),
        &ROOT.replace('/', "_"),
    ] {
        check(format!("a/log\n1\n{root}\n"), CheckpointError::Root);
    }
}

#[test]
fn only_the_log_itself_signs_for_it() {
    let (log, other) = (key("a/log", 1), key("b/log", 2));
    let checkpoint = || Checkpoint::new(log.verifier().name(), 7, Hash::empty());
    let signed = checkpoint().sign(&[&log]).unwrap();
    let open = |note: &str, keys: &[&LogKey]| {
        let keys: Vec<VerifierKey> = keys.iter().map(|key| key.verifier().clone()).collect();
        SignedCheckpoint::open(note.as_bytes(), &keys)
    };
    assert_eq!(open(signed.note(), &[&log]), Ok(signed.clone()));
    assert_eq!(open(signed.note(), &[&other]), Err(NoteError::Unknown.into()));
    let origin = || CheckpointError::Origin("a/log".to_owned());
    assert_eq!(checkpoint().sign(&[&other]), Err(origin()));
    // Another log that is believed, too, does not sign for this one.
    let foreign = Note::sign(&checkpoint().to_string(), &[&other]).unwrap().to_string();
    assert_eq!(open(&foreign, &[&log, &other]), Err(origin()));
    let both = checkpoint().sign(&[&log, &other]).unwrap();
    assert!(open(both.note(), &[&log]).is_ok() && open(both.note(), &[&log, &other]).is_ok());
    let not_one = Note::sign("hello\n", &[&log]).unwrap().to_string();
    assert_eq!(open(&not_one, &[&log]), Err(CheckpointError::Lines));
}
