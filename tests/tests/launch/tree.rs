//! The cgroup tree as the kernel has it.

use std::process::{Command, Stdio};

use gateway_user::{
    identify::{self, CgroupError, CgroupTree, IdentifyError, Scopes, Session},
    prim::{CgroupId, CgroupPath, OriginalDst},
    record::RecordError,
    redirect::Origin,
};

use crate::bench::bench;

#[test]
fn a_cgroup_is_found_by_its_id_and_gone_when_it_is_removed() {
    let bench = bench();
    let path = CgroupPath::new(&format!("{}/a b", bench.slice.as_str()));
    let id = bench.tree.create(&path, "night-builds").unwrap();
    assert_eq!(bench.tree.path(id).unwrap(), path);
    assert_eq!(bench.tree.id(&path).unwrap(), id);
    assert_eq!(bench.tree.tag(&path).unwrap().as_deref(), Some("night-builds"));
    assert_eq!(bench.tree.children(&bench.slice).unwrap(), std::slice::from_ref(&path));
    let root = bench.tree.id(&CgroupPath::new("")).unwrap();
    assert_eq!(bench.tree.path(root).unwrap(), CgroupPath::new(""));
    assert_eq!(bench.tree.tag(&CgroupPath::new("")).unwrap(), None);

    bench.tree.remove(&path).unwrap();
    assert!(matches!(bench.tree.path(id), Err(CgroupError::Gone)));
    assert!(matches!(bench.tree.id(&path), Err(CgroupError::Gone)));
    assert!(matches!(bench.tree.tag(&path), Err(CgroupError::Gone)));
    assert!(!bench.tree.exists(id));
    assert!(matches!(bench.tree.path(CgroupId(u64::MAX)), Err(CgroupError::Gone)));
    // The same name again is another cgroup.
    let again = bench.tree.create(&path, "").unwrap();
    assert_ne!(again, id);
    assert!(!bench.tree.exists(id));
}

#[test]
fn a_missing_slice_is_made_and_an_existing_one_kept() {
    let bench = bench();
    let nested = CgroupPath::new(&format!("{}/a.slice/a-b.slice", bench.slice.as_str()));
    let id = bench.tree.ensure(&nested).unwrap();
    assert_eq!(bench.tree.ensure(&nested).unwrap(), id);
    assert_eq!(bench.tree.path(id).unwrap(), nested);
}

#[test]
fn tags_that_no_workload_can_have_are_refused() {
    let bench = bench();
    let check = |tag: &[u8]| {
        let path = CgroupPath::new(&format!("{}/x", bench.slice.as_str()));
        bench.tree.create(&path, "").unwrap();
        let directory = bench.tree.directory(&path).unwrap();
        let replace = rustix::fs::XattrFlags::REPLACE;
        rustix::fs::fsetxattr(&directory, identify::cgroup::TAG, tag, replace).unwrap();
        assert!(matches!(bench.tree.tag(&path), Err(CgroupError::BadTag)), "{tag:?}");
        bench.tree.remove(&path).unwrap();
    };
    check(&[b'a'; 129]);
    check(b"\xff\xfe");
}

#[test]
fn a_populated_cgroup_is_not_removed() {
    let bench = bench();
    let path = CgroupPath::new(&format!("{}/x", bench.slice.as_str()));
    bench.tree.create(&path, "").unwrap();
    let below = CgroupPath::new(&format!("{}/y", path.as_str()));
    bench.tree.create(&below, "").unwrap();
    let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    bench.tree.admit(&below, cat.id()).unwrap();
    assert!(bench.tree.populated(&path).unwrap());
    assert!(matches!(bench.tree.remove(&path), Err(CgroupError::Io { .. })));
    assert!(bench.tree.id(&below).is_ok());
    drop(cat.stdin.take());
    cat.wait().unwrap();
    assert!(!bench.tree.populated(&path).unwrap());
    bench.tree.remove(&path).unwrap();
}

#[tokio::test]
async fn a_connection_is_identified_by_its_real_cgroup() {
    let bench = bench();
    let identify = async |path: &str| {
        let path = CgroupPath::new(path);
        let id = bench.tree.id(&path).unwrap();
        let origin =
            Origin { destination: OriginalDst(([192, 0, 2, 1], 443).into()), cgroup: id, pid: 1, uid: 0 };
        bench.registry.identify(&origin, async |_: &Session| Ok::<(), RecordError>(())).await
    };
    let slice = bench.slice.as_str();
    let globbed = CgroupPath::new(&format!("{slice}/claude-1.service"));
    let below = CgroupPath::new(&format!("{slice}/claude-1.service/sub"));
    let tagged = CgroupPath::new(&format!("{slice}/anything"));
    let untagged = CgroupPath::new(&format!("{slice}/other"));
    for (path, tag) in [(&globbed, ""), (&below, ""), (&tagged, "claude"), (&untagged, "")] {
        bench.tree.create(path, tag).unwrap();
    }
    let session = identify(below.as_str()).await.unwrap().session;
    assert_eq!(session.cgroup, globbed);
    assert_eq!(identify(globbed.as_str()).await.unwrap().session.id, session.id);
    assert_eq!(identify(tagged.as_str()).await.unwrap().session.workload.name.as_str(), "claude");
    assert!(matches!(identify(untagged.as_str()).await, Err(IdentifyError::NoWorkload { .. })));
    assert!(matches!(identify("").await, Err(IdentifyError::NotAnAgent { .. })));

    bench.tree.remove(&globbed).unwrap();
    let ended: Vec<_> = bench.registry.gone().iter().map(|session| session.id).collect();
    assert_eq!(ended, [session.id]);
}
