//! What AWS asks of the caller besides the action of the operation's own name: roles that are passed, what
//! something is made from, objects of S3 that a service reads and writes with the caller's rights.

use super::{OWN, call, long};
use crate::catalog::catalog;

/// That the call needs exactly these.
#[track_caller]
fn check(service: &str, operation: &str, params: &str, expected: &[&str]) {
    let mut expected: Vec<String> = expected.iter().map(|text| long(text)).collect();
    let mut found = call(service, operation, params);
    expected.sort_unstable();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, expected, "{service} {operation} {params}");
}

/// That the call needs these among others.
#[track_caller]
fn needs(service: &str, operation: &str, params: &str, expected: &[&str]) {
    let found = call(service, operation, params);
    for text in expected {
        assert!(found.contains(&long(text)), "{service} {operation} {params}: {text} is not in {found:?}");
    }
}

/// That the call needs nothing of an action.
#[track_caller]
fn needs_no(service: &str, operation: &str, params: &str, action: &str) {
    let found = call(service, operation, params);
    assert!(!found.iter().any(|on| on.starts_with(&format!("{action} "))), "{operation} {params}: {found:?}");
}

const ROLE: &str = "arn:aws:iam::123456789012:role/r";
const PASSES: &str = "iam:PassRole ^iam:role/r";

#[test]
fn what_something_is_made_from() {
    for service in ["rds", "neptune", "docdb"] {
        check(
            service,
            "RestoreDBClusterFromSnapshot",
            r#"{"DBClusterIdentifier":"new","SnapshotIdentifier":"s","Engine":"e"}"#,
            &[
                "rds:RestoreDBClusterFromSnapshot ~rds:cluster:new",
                "rds:RestoreDBClusterFromSnapshot ~rds:cluster-snapshot:s",
            ],
        );
        for kind in ["snapshot", "cluster-snapshot"] {
            let arn = format!("arn:aws:rds:us-east-1:{OWN}:{kind}:s");
            check(
                service,
                "RestoreDBClusterFromSnapshot",
                &format!(r#"{{"DBClusterIdentifier":"new","SnapshotIdentifier":"{arn}"}}"#),
                &[
                    "rds:RestoreDBClusterFromSnapshot ~rds:cluster:new",
                    &format!("rds:RestoreDBClusterFromSnapshot {arn}"),
                ],
            );
        }
        check(
            service,
            "RestoreDBClusterToPointInTime",
            r#"{"DBClusterIdentifier":"new","SourceDBClusterIdentifier":"old"}"#,
            &[
                "rds:RestoreDBClusterToPointInTime ~rds:cluster:new",
                "rds:RestoreDBClusterToPointInTime ~rds:cluster:old",
            ],
        );
    }
    needs(
        "rds",
        "RestoreDBClusterToPointInTime",
        r#"{"DBClusterIdentifier":"new","SourceDbClusterResourceId":"cluster-X"}"#,
        &["rds:RestoreDBClusterToPointInTime *"],
    );
    for service in ["rds", "neptune"] {
        needs(
            service,
            "CreateDBCluster",
            r#"{"DBClusterIdentifier":"new","ReplicationSourceIdentifier":"arn:aws:rds:us-east-1:123456789012:db:d"}"#,
            &["rds:CreateDBCluster ~rds:db:d"],
        );
        needs(
            service,
            "CreateDBCluster",
            r#"{"DBClusterIdentifier":"new","ReplicationSourceIdentifier":"arn:aws:rds:eu-west-1:123456789012:db:d"}"#,
            &["rds:CreateDBCluster *"],
        );
    }
    check(
        "redshift",
        "RestoreFromClusterSnapshot",
        r#"{"ClusterIdentifier":"new","SnapshotClusterIdentifier":"old","SnapshotIdentifier":"s"}"#,
        &[
            "redshift:RestoreFromClusterSnapshot ~redshift:cluster:new",
            "redshift:RestoreFromClusterSnapshot ~redshift:snapshot:old/s",
        ],
    );
    check(
        "redshift",
        "RestoreFromClusterSnapshot",
        r#"{"ClusterIdentifier":"new","SnapshotIdentifier":"s"}"#,
        &[
            "redshift:RestoreFromClusterSnapshot ~redshift:cluster:new",
            "redshift:RestoreFromClusterSnapshot *",
        ],
    );
    for (member, source) in
        [("PrimaryClusterId", "cluster:x"), ("ServerlessCacheSnapshotName", "serverlesscachesnapshot:x")]
    {
        check(
            "elasticache",
            "CreateReplicationGroup",
            &format!(r#"{{"ReplicationGroupId":"g","{member}":"x"}}"#),
            &[
                "elasticache:CreateReplicationGroup ~elasticache:replicationgroup:g",
                &format!("elasticache:CreateReplicationGroup ~elasticache:{source}"),
            ],
        );
    }
    for (service, operation, made) in [
        ("elasticache", "CreateReplicationGroup", r#""ReplicationGroupId":"g""#),
        ("elasticache", "CreateCacheCluster", r#""CacheClusterId":"g""#),
        ("memorydb", "CreateCluster", r#""ClusterName":"g","ACLName":"a""#),
    ] {
        let own = format!("{service}:{operation} *");
        needs(
            service,
            operation,
            &format!(r#"{{{made},"SnapshotArns":["arn:aws:s3:::b/k.rdb"]}}"#),
            &[&own, "s3:GetObject *"],
        );
        needs_no(service, operation, &format!("{{{made}}}"), "s3:GetObject");
    }
    // What no overlay knows: found by its name.
    needs(
        "storagegateway",
        "CreateCachediSCSIVolume",
        r#"{"GatewayARN":"arn:aws:storagegateway:us-east-1:123456789012:gateway/g","SnapshotId":"snap-1"}"#,
        &["storagegateway:CreateCachediSCSIVolume *"],
    );
    needs(
        "appstream",
        "CreateFleet",
        r#"{"Name":"f","ImageName":"allowed","ImageArn":"arn:aws:appstream:us-east-1:123456789012:image/x"}"#,
        &["appstream:CreateFleet *"],
    );
    // Tags are no key.
    check(
        "payment-cryptography",
        "TagResource",
        r#"{"ResourceArn":"arn:aws:payment-cryptography:us-east-1:123456789012:key/k","Tags":[{"Key":"mine"}]}"#,
        &["payment-cryptography:TagResource ~payment-cryptography:key/k"],
    );
    for tags in ["Tags", "TagSpecifications"] {
        let params = format!(r#"{{"DBInstanceIdentifier":"d","{tags}":[{{"Key":"k"}}]}}"#);
        needs("rds", "CreateDBInstance", &params, &["rds:AddTagsToResource *"]);
    }
}

#[test]
fn operations_that_run_others_need_every_role() {
    for (service, operations) in [
        ("cloudcontrol", "CreateResource UpdateResource DeleteResource"),
        (
            "servicecatalog",
            "ProvisionProduct UpdateProvisionedProduct TerminateProvisionedProduct \
             CreateProvisionedProductPlan ExecuteProvisionedProductPlan \
             ExecuteProvisionedProductServiceAction ImportAsProvisionedProduct CreateConstraint \
             UpdateConstraint CreateServiceAction UpdateServiceAction",
        ),
        ("serverlessrepo", "CreateCloudFormationChangeSet"),
        (
            "elasticbeanstalk",
            "CreateEnvironment UpdateEnvironment ComposeEnvironments RebuildEnvironment \
             TerminateEnvironment CreateConfigurationTemplate UpdateConfigurationTemplate \
             CreatePlatformVersion",
        ),
        (
            "ssm",
            "RegisterTaskWithMaintenanceWindow UpdateMaintenanceWindowTask StartAutomationExecution \
             CreateAssociation CreateDocument UpdateDocument",
        ),
        ("datapipeline", "PutPipelineDefinition ActivatePipeline"),
        ("sagemaker", "CreatePipeline UpdatePipeline CreateProject UpdateProject"),
        ("lightsail", "CreateCloudFormationStack"),
        ("launch-wizard", "CreateDeployment UpdateDeployment DeleteDeployment"),
        ("drs", "StartRecovery StartRecoveryPlanExecution StartSourceNetworkRecovery"),
        ("mgn", "StartCutover StartTest StartNetworkMigrationDeployment"),
        ("proton", "CreateService UpdateService CreateServiceInstance UpdateServicePipeline CreateComponent"),
        ("servicecatalog-appregistry", "SyncResource"),
        ("cloudformation", "CreateStackSet ImportStacksToStackSet DetectStackSetDrift"),
        ("emr", "RunJobFlow"),
    ] {
        for operation in operations.split_ascii_whitespace() {
            needs(service, operation, "{}", &["iam:PassRole *"]);
        }
    }
    let refresh = r#"{"DesiredConfiguration":{"LaunchTemplate":{"LaunchTemplateName":"t"}}}"#;
    needs("autoscaling", "StartInstanceRefresh", refresh, &["iam:PassRole *"]);
    needs("cloud9", "CreateEnvironmentEC2", r#"{"connectionType":"CONNECT_SSM"}"#, &["iam:PassRole *"]);
    // A role that is named is needed as well: something may be forbidden of it.
    needs("cloudcontrol", "CreateResource", &format!(r#"{{"RoleArn":"{ROLE}"}}"#), &[PASSES]);
    // What reads anything is not among what merely reads.
    for (service, operation) in [
        ("cloudcontrol", "GetResource"),
        ("cloudcontrol", "ListResources"),
        ("cloudformation", "DetectStackDrift"),
        ("cloudformation", "StartResourceScan"),
        ("cloudformation", "CreateGeneratedTemplate"),
    ] {
        needs(service, operation, "{}", &["cloudformation:CreateResource *"]);
    }
    needs("cloudcontrol", "GetResource", &format!(r#"{{"RoleArn":"{ROLE}"}}"#), &[PASSES]);
}

#[test]
fn roles_in_members_that_are_not_called_so() {
    let check = |service: &str, operation: &str, params: &str| {
        needs(service, operation, &params.replace("ROLE", ROLE), &[PASSES]);
        needs_no(service, operation, "{}", "iam:PassRole");
    };
    for operation in ["PutIntegration", "CreateAuthorizer"] {
        check("apigateway", operation, r#"{"credentials":"ROLE"}"#);
    }
    for operation in ["UpdateIntegration", "UpdateAuthorizer", "UpdateAccount"] {
        let patch = r#"{"patchOperations":[{"op":"replace","path":"/credentials","value":"ROLE"}]}"#;
        check("apigateway", operation, patch);
    }
    for operation in ["CreateIntegration", "UpdateIntegration", "CreateApi", "UpdateApi"] {
        check("apigatewayv2", operation, r#"{"CredentialsArn":"ROLE"}"#);
    }
    for operation in ["CreateAuthorizer", "UpdateAuthorizer"] {
        check("apigatewayv2", operation, r#"{"AuthorizerCredentialsArn":"ROLE"}"#);
    }
    for operation in ["CreateUserPool", "UpdateUserPool"] {
        check("cognito-idp", operation, r#"{"SmsConfiguration":{"SnsCallerArn":"ROLE"}}"#);
    }
    check(
        "cognito-idp",
        "SetUserPoolMfaConfig",
        r#"{"SmsMfaConfiguration":{"SmsConfiguration":{"SnsCallerArn":"ROLE"}}}"#,
    );
    check(
        "kinesisanalytics",
        "UpdateApplication",
        r#"{"ApplicationUpdate":{"InputUpdates":[{"KinesisStreamsInputUpdate":{"RoleARNUpdate":"ROLE"}}]}}"#,
    );
    check("kinesisanalyticsv2", "UpdateApplication", r#"{"ServiceExecutionRoleUpdate":"ROLE"}"#);
    check("codebuild", "StartBuild", r#"{"serviceRoleOverride":"r"}"#);
    check("opensearch", "CreateApplication", r#"{"dataSources":[{"iamRoleForDataSourceArn":"ROLE"}]}"#);
    check(
        "dms",
        "ModifyReplicationInstance",
        r#"{"KerberosAuthenticationSettings":{"KeyCacheSecretIamArn":"ROLE"}}"#,
    );
    check("secretsmanager", "RotateSecret", r#"{"ExternalSecretRotationRoleArn":"ROLE"}"#);
    check("sns", "Subscribe", r#"{"Attributes":{"SubscriptionRoleArn":"ROLE"}}"#);
    check(
        "sns",
        "SetSubscriptionAttributes",
        r#"{"AttributeName":"SubscriptionRoleArn","AttributeValue":"ROLE"}"#,
    );
    check(
        "dynamodb",
        "UpdateTableReplicaAutoScaling",
        r#"{"ProvisionedWriteCapacityAutoScalingUpdate":{"AutoScalingRoleArn":"ROLE"}}"#,
    );
    check("repostspace", "CreateSpace", r#"{"roleArn":"ROLE"}"#);
    // In a text, or in a definition, it is not told.
    needs("logs", "PutAccountPolicy", r#"{"policyType":"SUBSCRIPTION_FILTER_POLICY"}"#, &["iam:PassRole *"]);
    needs("logs", "PutAccountPolicy", "{}", &["iam:PassRole *"]);
    needs_no("logs", "PutAccountPolicy", r#"{"policyType":"DATA_PROTECTION_POLICY"}"#, "iam:PassRole");
    for (service, operation) in [
        ("apigateway", "ImportRestApi"),
        ("apigateway", "PutRestApi"),
        ("apigatewayv2", "ImportApi"),
        ("apigatewayv2", "ReimportApi"),
    ] {
        needs(service, operation, "{}", &["iam:PassRole *"]);
    }
    // Whom something is about, or who is let in, is not handed over.
    let role = |member: &str| format!(r#"{{"{member}":"{ROLE}"}}"#);
    needs_no("lambda", "AddPermission", &role("Principal"), "iam:PassRole");
    needs_no("kms", "CreateGrant", &role("GranteePrincipal"), "iam:PassRole");
    needs_no("ram", "AssociateResourceShare", &role("principals"), "iam:PassRole");
}

#[test]
fn roles_that_are_not_told() {
    let profile = "arn:aws:iam::123456789012:instance-profile/p";
    needs("emr", "RunJobFlow", &format!(r#"{{"JobFlowRole":"{profile}"}}"#), &["iam:PassRole *"]);
    needs("emr", "RunJobFlow", r#"{"JobFlowRole":"p"}"#, &["iam:PassRole *"]);
    let pass = |params: &str| call("lambda", "CreateFunction", params);
    let other = "arn:aws:iam::123456789012:user/u";
    for params in [format!(r#"{{"Anything":["{profile}"]}}"#), format!(r#"{{"Role":"{other}"}}"#)] {
        assert!(pass(&params).contains(&"iam:PassRole *".to_owned()), "{params}");
    }
    assert!(!pass(&format!(r#"{{"Anything":"{other}"}}"#)).contains(&"iam:PassRole *".to_owned()));
}

#[test]
fn objects_that_are_read_and_written_with_the_rights_of_the_caller() {
    let object = "arn:aws:s3:::bkt/k";
    let (get, version) = (format!("s3:GetObject {object}"), format!("s3:GetObjectVersion {object}"));
    let any = "s3:GetObject *";
    let s3 = r#"{"S3Object":{"Bucket":"bkt","Name":"k"}}"#;
    for (service, operation, member) in [
        ("textract", "DetectDocumentText", "Document"),
        ("textract", "AnalyzeDocument", "Document"),
        ("textract", "StartDocumentAnalysis", "DocumentLocation"),
        ("rekognition", "DetectText", "Image"),
        ("rekognition", "CompareFaces", "TargetImage"),
        ("rekognition", "StartLabelDetection", "Video"),
    ] {
        let params = format!(r#"{{"{member}":{s3}}}"#);
        needs(service, operation, &params, &[&get]);
        needs_no(service, operation, &params, "s3:GetObjectVersion");
        needs_no(service, operation, &format!(r#"{{"{member}":{{"Bytes":"AA=="}}}}"#), "s3:GetObject");
        let versioned = params.replace(r#""Name""#, r#""Version":"v","Name""#);
        needs(service, operation, &versioned, &[&get, &version]);
        needs(service, operation, &params.replace(r#""k""#, r#""*""#), &[any]);
    }
    check(
        "textract",
        "AnalyzeID",
        &format!(r#"{{"DocumentPages":[{s3},{{"Bytes":"AA=="}}]}}"#),
        &["textract:AnalyzeID *", &get],
    );
    needs(
        "textract",
        "StartDocumentTextDetection",
        r#"{"OutputConfig":{"S3Bucket":"bkt"}}"#,
        &["s3:PutObject arn:aws:s3:::bkt/textract_output/"],
    );
    // By a URI.
    let transcribe =
        |uri: &str| format!(r#"{{"Media":{{"MediaFileUri":"{uri}"}},"OutputBucketName":"out"}}"#);
    for (uri, expected) in [
        ("s3://bkt/k", get.as_str()),
        ("S3://bkt/k", &get),
        (" s3://bkt/k", &get),
        ("s3://bkt/a*", any),
        ("s3://bkt", any),
        ("s3://bkt/", any),
        ("s3://arn:aws:s3:x/k", any),
        ("https://s3.us-east-1.amazonaws.com/b/k", any),
        ("https://b.S3.amazonaws.com/k?versionId=v", any),
    ] {
        needs("transcribe", "StartTranscriptionJob", &transcribe(uri), &[expected, "s3:PutObject *"]);
    }
    needs(
        "transcribe",
        "StartTranscriptionJob",
        r#"{"OutputBucketName":"out","OutputKey":"x.json"}"#,
        &["s3:PutObject arn:aws:s3:::out/x.json"],
    );
    let message = |content: &str| format!(r#"{{"modelId":"m","messages":[{{"content":[{content}]}}]}}"#);
    let image = r#"{"toolResult":{"content":[{"image":{"source":{"s3Location":{"uri":"s3://bkt/k"}}}}]}}"#;
    for operation in ["Converse", "ConverseStream"] {
        needs("bedrock-runtime", operation, &message(image), &[&get]);
        needs_no("bedrock-runtime", operation, &message(r#"{"text":"see https://a.b/c"}"#), "s3:GetObject");
    }
    // By bucket and key.
    needs(
        "ec2",
        "CreateStoreImageTask",
        r#"{"ImageId":"ami-1","Bucket":"bkt"}"#,
        &["s3:PutObject arn:aws:s3:::bkt/ami-1.bin", "ebs:GetSnapshotBlock *"],
    );
    needs("ec2", "CreateRestoreImageTask", r#"{"Bucket":"bkt","ObjectKey":"k"}"#, &[&get]);
    let disk = r#"{"UserBucket":{"S3Bucket":"bkt","S3Key":"k"}}"#;
    needs("ec2", "ImportImage", &format!(r#"{{"DiskContainers":[{disk}]}}"#), &[&get]);
    needs("ec2", "ImportImage", r#"{"DiskContainers":[{"Url":"s3://bkt/k"}]}"#, &[any]);
    needs("ec2", "ImportSnapshot", &format!(r#"{{"DiskContainer":{disk}}}"#), &[&get]);
    needs("ec2", "ExportImage", "{}", &["s3:PutObject *"]);
    needs(
        "signer",
        "StartSigningJob",
        r#"{"source":{"s3":{"bucketName":"bkt","key":"k","version":"v"}}}"#,
        &[&get, &version, "s3:PutObject *"],
    );
    needs("polly", "StartSpeechSynthesisTask", r#"{"OutputS3BucketName":"bkt"}"#, &["s3:PutObject *"]);
    for operation in ["CreateStack", "UpdateStack", "CreateChangeSet", "CreateStackSet", "ValidateTemplate"] {
        needs("cloudformation", operation, r#"{"TemplateURL":"https://h/t"}"#, &[any]);
        needs_no("cloudformation", operation, r#"{"TemplateBody":"{}"}"#, "s3:GetObject");
    }
    let code = r#"{"FunctionName":"f","Code":{"S3Bucket":"bkt","S3Key":"k","S3ObjectVersion":"v"}}"#;
    needs("lambda", "CreateFunction", code, &[&get, &version]);
    let attached = r#"{"Name":"d","Attachments":[{"Key":"SourceUrl","Values":["s3://bkt/"]}]}"#;
    needs("ssm", "CreateDocument", attached, &[any]);
    needs_no("ssm", "CreateDocument", r#"{"Name":"d"}"#, "s3:GetObject");
    // From what the reference says an action depends on, without an overlay.
    needs("connect", "CreatePrompt", r#"{"S3Uri":"s3://bkt/k"}"#, &[any]);
    needs("guardduty", "CreateThreatEntitySet", r#"{"Location":"https://h/b/k"}"#, &[any]);
    needs("drs", "ExportSourceNetworkCfnTemplate", "{}", &[any, "s3:PutObject *"]);
    needs("resiliencehub", "CreateRecommendationTemplate", "{}", &["s3:CreateBucket *", "s3:PutObject *"]);
    needs_no("elasticache", "CreateSnapshot", "{}", "s3:PutObject");
}

#[test]
fn queries_read_and_change_with_the_rights_of_the_caller() {
    let query = |text: &str| format!(r#"{{"QueryString":"{text}"}}"#);
    let reads = ["s3:GetObject *", "s3:ListBucket *", "s3:PutObject *", "glue:GetTable *"];
    needs("athena", "StartQueryExecution", &query("select 1"), &reads);
    for (text, action) in [
        ("CREATE table t as select 1", "glue:CreateTable"),
        ("drop table t", "glue:DeleteTable"),
        ("Drop database d", "glue:DeleteDatabase"),
        ("alter table t add partition", "glue:BatchCreatePartition"),
        ("insert into t", "glue:UpdateTable"),
        ("delete from t", "s3:DeleteObject"),
        ("using external function f", "lambda:InvokeFunction"),
    ] {
        needs_no("athena", "StartQueryExecution", &query("select 1"), action);
        let action = format!("{action} *");
        needs("athena", "StartQueryExecution", &query(text), &[&action]);
        needs("athena", "StartQueryExecution", &query("execute p"), &[&action]);
    }
    let catalog = r#"{"QueryString":"select 1","QueryExecutionContext":{"Catalog":"c"}}"#;
    needs("athena", "StartQueryExecution", catalog, &["lambda:InvokeFunction *"]);
    let own = catalog.replace(r#""c""#, r#""AwsDataCatalog""#);
    needs_no("athena", "StartQueryExecution", &own, "lambda:InvokeFunction");
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
    let read = format!("secretsmanager:GetSecretValue {secret}");
    needs("rds-data", "ExecuteStatement", &format!(r#"{{"secretArn":"{secret}"}}"#), &[&read]);
    needs("redshift-data", "ExecuteStatement", &format!(r#"{{"SecretArn":"{secret}"}}"#), &[&read]);
    for (params, action) in [
        (r#"{"ClusterIdentifier":"c","DbUser":"admin"}"#, "redshift:GetClusterCredentials *"),
        (r#"{"ClusterIdentifier":"c"}"#, "redshift:GetClusterCredentialsWithIAM *"),
        (r#"{"WorkgroupName":"w"}"#, "redshift-serverless:GetCredentials *"),
    ] {
        needs("redshift-data", "ExecuteStatement", params, &[action]);
    }
}

#[test]
fn what_makes_a_credential_of_use_elsewhere_is_refused() {
    for (service, operations) in [
        (
            "iot",
            "AcceptCertificateTransfer CreateCertificateFromCsr CreateKeysAndCertificate \
             CreateProvisioningClaim RegisterCACertificate RegisterCertificate RegisterCertificateWithoutCA \
             RegisterThing",
        ),
        ("rolesanywhere", "CreateTrustAnchor UpdateTrustAnchor"),
        ("acm-pca", "IssueCertificate"),
        ("acm", "ExportCertificate GetAcmeExternalAccountBindingCredentials"),
        ("ec2-instance-connect", "SendSSHPublicKey SendSerialConsoleSSHPublicKey"),
        ("transfer", "CreateUser ImportSshPublicKey"),
        ("sso-admin", "CreateTrustedTokenIssuer UpdateTrustedTokenIssuer"),
        ("location", "CreateKey DescribeKey"),
        ("lightsail", "CreateGUISessionAccessDetails GetRelationalDatabaseMasterUserPassword ImportKeyPair"),
        ("iam", "UpdateSAMLProvider"),
        ("sagemaker", "CreatePartnerAppPresignedUrl"),
        ("qbusiness", "CreateAnonymousWebExperienceUrl"),
    ] {
        for operation in operations.split_ascii_whitespace() {
            let found = catalog().service(service).and_then(|service| service.operation(operation));
            assert!(found.is_some_and(|operation| operation.mints), "{service} {operation}");
        }
    }
}
