use std::collections::BTreeSet;

use super::{call, check, classified};
use crate::classify::Param;

#[test]
fn parameters() {
    let put = call("PUT", "/a%20b")
        .header("x-amz-server-side-encryption", "aws:kms")
        .header("x-amz-server-side-encryption-customer-key", "c2VjcmV0")
        .header("x-amz-meta-team", "blue")
        .header("content-type", "text/plain");
    let text = |text: &str| Param::Text(text.to_owned());
    let expected = [
        ("Bucket", text("bkt")),
        ("ContentType", text("text/plain")),
        ("Key", text("a b")),
        ("Metadata", Param::Record([("team".to_owned(), text("blue"))].into())),
        ("ServerSideEncryption", text("aws:kms")),
    ];
    assert_eq!(
        classified(&put).unwrap().params,
        expected.map(|(name, param)| (name.to_owned(), param)).into()
    );
    let list = classified(&call("GET", "/?list-type=2&prefix=a%2F&max-keys=7")).unwrap().params;
    assert_eq!(list.get("Prefix"), Some(&text("a/")));
    assert_eq!(list.get("MaxKeys"), Some(&Param::Number(7)));
    let acl = classified(&call("PUT", "/k?acl").header("x-amz-acl", "public-read")).unwrap();
    assert_eq!(acl.params.get("ACL"), Some(&text("public-read")));
    let bypass = call("DELETE", "/k").header("x-amz-bypass-governance-retention", "true");
    let bypass = classified(&bypass).unwrap().params;
    assert_eq!(bypass.get("BypassGovernanceRetention"), Some(&Param::Bool(true)));
}

#[test]
fn what_a_bucket_is_told_is_in_the_body() {
    let public = call("PUT", "/?publicAccessBlock").body(
        "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <BlockPublicAcls>false</BlockPublicAcls></PublicAccessBlockConfiguration>",
    );
    let block = Param::Record([("BlockPublicAcls".to_owned(), Param::Bool(false))].into());
    let operation = classified(&public).unwrap();
    assert_eq!(operation.params.get("PublicAccessBlockConfiguration"), Some(&block));
    assert_eq!(operation.unread, BTreeSet::new());
    let policy = call("PUT", "/?policy").body("{\"Statement\":[]}");
    let text = Param::Text("{\"Statement\":[]}".to_owned());
    assert_eq!(classified(&policy).unwrap().params.get("Policy"), Some(&text));
    let create = call("PUT", "/").body(
        "<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>",
    );
    let place = Param::Record([("LocationConstraint".to_owned(), Param::Text("EU".to_owned()))].into());
    assert_eq!(classified(&create).unwrap().params.get("CreateBucketConfiguration"), Some(&place));
    let role = "arn:aws:iam::123456789012:role/replicates";
    let replicate = format!("<ReplicationConfiguration><Role>{role}</Role></ReplicationConfiguration>");
    check(
        &call("PUT", "/?replication").body(&replicate),
        "PutBucketReplication",
        &["s3:PutReplicationConfiguration arn:aws:s3:::bkt", &format!("iam:PassRole {role}")],
    );
}

#[test]
fn data_is_not_read() {
    for (target, member) in [("/k", "Body"), ("/k?partNumber=1&uploadId=u", "Body")] {
        let operation = classified(&call("PUT", target).body("<Delete/>")).unwrap();
        assert_eq!(operation.unread, BTreeSet::from([member.to_owned()]), "{target}");
    }
    let create = classified(&call("POST", "/k?uploads").header("content-encoding", "gzip")).unwrap();
    assert_eq!(create.params.get("ContentEncoding"), Some(&Param::Text("gzip".to_owned())));
    let complete = classified(&call("POST", "/k?uploadId=u").body("<")).unwrap();
    assert_eq!(complete.unread, BTreeSet::from(["MultipartUpload".to_owned()]));
}

#[test]
fn headers_do_not_forge_parameters() {
    for name in ["prefix", "list-type", "version-id", "key", "metadata", "other"] {
        let header = format!("x-amz-{name}");
        let operation = classified(&call("GET", "/?list-type=2").header(&header, "public/")).unwrap();
        let bucket = ("Bucket".to_owned(), Param::Text("bkt".to_owned()));
        assert_eq!(operation.params, [bucket].into(), "{header}");
    }
    let both = call("GET", "/k?uploadId=u&max-parts=1").header("x-amz-max-parts", "2");
    assert_eq!(classified(&both).unwrap().params.get("MaxParts"), Some(&Param::Number(1)));
}
