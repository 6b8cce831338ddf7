//! What S3 has besides general purpose buckets, and what IAM asks for there.
//!
//! The operations are S3's; the actions and ARNs are those of S3 on Outposts, S3 Object Lambda and S3
//! Express. An operation for which IAM has none there is known, and refused.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3onoutposts.html>,
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3objectlambda.html>,
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3express.html>

use super::{
    Values,
    address::{AccessPoint, Bucket, Directory, Of},
    operations::Row,
};
use crate::{
    catalog::catalog,
    classify::{ActionOn, ClassifyError, Param},
    prim::AccountId,
};

/// Turns `actions`, which name S3's own actions, into those that IAM asks for.
///
/// # Errors
/// [`ClassifyError::UnknownAction`]: there is none for the operation.
pub(super) fn needed(
    params: &Values,
    row: &Row,
    bucket: &Bucket,
    actions: Vec<ActionOn>,
    account: Option<&AccountId>,
) -> Result<Vec<ActionOn>, ClassifyError> {
    // Of a copy, the source stays what it is.
    let arn = bucket.arn();
    let split = || actions.iter().cloned().partition(|on: &ActionOn| on.resource.starts_with(&arn));
    let (own, mut all): (Vec<ActionOn>, Vec<ActionOn>) = split();
    all.extend(match bucket {
        Bucket::Named { .. } if row.action.is_empty() => return Err(unknown(row)),
        Bucket::Named { .. } => return Ok(actions),
        Bucket::AccessPoint(AccessPoint { of, .. }) => through(of, row, own)?,
        Bucket::Directory(directory) => in_directory(params, row, directory, own, account)?,
    });
    Ok(all)
}

/// Which bucket is behind an access point is not in the request: what is done to the one is done to
/// an unknown other. With Object Lambda, a function of the owner's runs as well.
fn through(of: &Of, row: &Row, actions: Vec<ActionOn>) -> Result<Vec<ActionOn>, ClassifyError> {
    let mut all = renamed(of.prefix(), row, actions.clone())?;
    let behind = match of {
        Of::S3 | Of::Outpost(_) => all.clone(),
        Of::ObjectLambda => {
            all.push(ActionOn { action: "lambda:InvokeFunction".to_owned(), resource: "*".to_owned() });
            actions
        }
    };
    all.extend(behind.into_iter().map(|on| ActionOn { resource: "*".to_owned(), ..on }));
    Ok(all)
}

impl Of {
    /// The prefix of its actions.
    fn prefix(&self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::ObjectLambda => "s3-object-lambda",
            Self::Outpost(_) => "s3-outposts",
        }
    }
}

/// The operations that a directory bucket has at its zone's host.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-APIs.html>
const ZONAL: [&str; 18] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "CreateSession",
    "DeleteObject",
    "DeleteObjects",
    "GetObject",
    "GetObjectAttributes",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectsV2",
    "ListParts",
    "PutObject",
    "RenameObject",
    "UploadPart",
    "UploadPartCopy",
];

/// All that is done with the data needs `s3express:CreateSession` on the bucket, with or without a session.
/// Where buckets are administered there is an action for each operation.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-authenticating-authorizing.html>
fn in_directory(
    params: &Values,
    row: &Row,
    directory: &Directory,
    actions: Vec<ActionOn>,
    account: Option<&AccountId>,
) -> Result<Vec<ActionOn>, ClassifyError> {
    let owner = if directory.zonal { stated_owner(params) } else { account.cloned() };
    let resource = owner.map_or_else(|| "*".to_owned(), |owner| directory.arn(owner.as_str()));
    if !directory.zonal {
        let actions = renamed("s3express", row, actions)?;
        return Ok(actions.into_iter().map(|on| ActionOn { resource: resource.clone(), ..on }).collect());
    }
    if ZONAL.contains(&row.operation) {
        return Ok(vec![ActionOn { action: "s3express:CreateSession".to_owned(), resource }]);
    }
    Err(unknown(row))
}

/// Whose bucket it is: S3 refuses a request that states another owner than the bucket has. The name alone
/// does not tell, because an account may let others use its buckets. They are administered by their owners
/// alone.
fn stated_owner(params: &Values) -> Option<AccountId> {
    match params.get("ExpectedBucketOwner") {
        Some(Param::Text(owner)) => owner.parse().ok(),
        _ => None,
    }
}

/// `s3:Name` as `PREFIX:Name`, if IAM has that.
fn renamed(prefix: &'static str, row: &Row, actions: Vec<ActionOn>) -> Result<Vec<ActionOn>, ClassifyError> {
    let named = |on: ActionOn| {
        let action = format!("{prefix}:{}", on.action.strip_prefix("s3:")?);
        catalog().action(&action).map(|_| ActionOn { action, ..on })
    };
    actions.into_iter().map(|on| named(on).ok_or_else(|| unknown(row))).collect()
}

fn unknown(row: &Row) -> ClassifyError {
    ClassifyError::UnknownAction(format!("s3:{}", row.operation))
}
