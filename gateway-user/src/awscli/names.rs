//! Where the AWS CLI's names are not those that its rule gives: facts of its version 1.45, which a test compares with it.

/// Services: the model's name, the command's.
pub(super) const SERVICES: &[(&str, &str)] =
    &[("codedeploy", "deploy"), ("config", "configservice"), ("s3", "s3api")];

/// Operations: service, operation, command.
pub(super) const OPERATIONS: &[(&str, &str, &str)] =
    &[("rds", "ModifyOptionGroup", "add-option-to-option-group")];

/// Words in operations' names that stay one.
pub(super) const WORDS: &[(&str, &str)] = &[
    ("HITsFor", "HitsFor"),
    ("OAuth2", "Oauth2"),
    ("OTel", "Otel"),
    ("PartiQL", "Partiql"),
    ("WhatsApp", "Whatsapp"),
    ("iSCSI", "Iscsi"),
];

/// Options for what is not so: service, option, its opposite. Other options have `no-` in front.
pub(super) const OPPOSITES: &[(&str, &str, &str)] = &[
    ("ec2", "disable-api-termination", "enable-api-termination"),
    ("ec2", "egress", "ingress"),
    ("ec2", "no-reboot", "reboot"),
    ("ecs", "enable-execute-command", "disable-execute-command"),
    ("ecs", "interactive", "non-interactive"),
];

/// Options: service, operations, member, option; none where the member can be given in `--cli-input-json` alone.
#[rustfmt::skip]
pub(super) const OPTIONS: &[(&str, &str, &str, &str)] = &[
    ("apigateway", "CreateRestApi", "version", "api-version"),
    ("apigatewayv2", "CreateApi UpdateApi", "Version", "api-version"),
    ("bedrock-agent-runtime", "GetAgentMemory", "maxItems", ""),
    ("clouddirectory", "PublishSchema", "Version", "schema-version"),
    ("cloudsearch", "DefineExpression", "Expression", ""),
    ("cloudsearch", "DefineIndexField", "IndexField", ""),
    ("cloudsearchdomain", "Search", "query", "search-query"),
    ("cloudsearchdomain", "Suggest", "query", "suggest-query"),
    ("codepipeline", "CreateCustomActionType DeleteCustomActionType GetActionType", "version", "action-version"),
    ("codepipeline", "GetPipeline", "version", "pipeline-version"),
    ("controltower", "CreateLandingZone UpdateLandingZone", "version", "landing-zone-version"),
    ("datapipeline", "ActivatePipeline PutPipelineDefinition", "parameterValues", ""),
    ("datapipeline", "GetPipelineDefinition", "version", "pipeline-version"),
    ("datapipeline", "PutPipelineDefinition", "parameterObjects", ""),
    ("datapipeline", "PutPipelineDefinition", "pipelineObjects", ""),
    ("datapipeline", "QueryObjects", "query", "objects-query"),
    ("ec2", "RunInstances", "MaxCount", ""),
    ("ec2", "RunInstances", "MinCount", ""),
    ("eks", "CreateCluster CreateNodegroup UpdateClusterVersion UpdateNodegroupVersion", "version", "kubernetes-version"),
    ("emr", "AddTags", "Tags", ""),
    ("emr", "ListClusters", "ClusterStates", ""),
    ("emr", "ListClusters", "CreatedAfter", ""),
    ("emr", "ListClusters", "CreatedBefore", ""),
    ("gamelift", "CreateBuild UpdateBuild", "Version", "build-version"),
    ("gamelift", "CreateScript UpdateScript", "Version", "script-version"),
    ("glue", "GetUnfilteredPartitionMetadata GetUnfilteredPartitionsMetadata GetUnfilteredTableMetadata", "Region", "resource-region"),
    ("iot", "ListAttachedPolicies ListAuthorizers ListCACertificates ListCertificates ListCertificatesByCA ListDomainConfigurations ListOutgoingCertificates ListPolicies ListPolicyPrincipals ListPrincipalPolicies ListRoleAliases ListTargetsForPolicy", "pageSize", ""),
    ("iotwireless", "CreateDeviceProfile CreateFuotaTask CreateMulticastGroup CreateServiceProfile CreateWirelessDevice CreateWirelessGateway StartFuotaTask StartMulticastGroupSession UpdateFuotaTask UpdateMulticastGroup UpdateWirelessDevice", "LoRaWAN", "lorawan"),
    ("kinesisanalytics", "AddApplicationOutput", "Output", "application-output"),
    ("kinesisanalyticsv2", "AddApplicationOutput", "Output", "application-output"),
    ("lex-models", "DeleteBotVersion", "version", "bot-version"),
    ("lex-models", "DeleteIntentVersion GetIntent", "version", "intent-version"),
    ("lex-models", "DeleteSlotTypeVersion GetSlotType", "version", "slot-type-version"),
    ("lex-models", "GetExport", "version", "resource-version"),
    ("license-manager", "DeleteGrant GetGrant", "Version", "grant-version"),
    ("license-manager", "GetLicense", "Version", "license-version"),
    ("mturk", "ListQualificationTypes", "Query", "types-query"),
    ("omics", "ListBatch ListConfigurations ListRunCaches ListRunGroups ListRunTasks ListRuns ListRunsInBatch ListWorkflowVersions ListWorkflows", "startingToken", ""),
    ("omics", "ListBatch ListRunsInBatch", "maxItems", ""),
    ("pinpoint", "DeleteEmailTemplate DeleteInAppTemplate DeletePushTemplate DeleteSmsTemplate DeleteVoiceTemplate GetEmailTemplate GetInAppTemplate GetPushTemplate GetSmsTemplate GetVoiceTemplate UpdateEmailTemplate UpdateInAppTemplate UpdatePushTemplate UpdateSmsTemplate UpdateVoiceTemplate", "Version", "template-version"),
    ("pinpoint", "GetCampaignVersion", "Version", "campaign-version"),
    ("pinpoint", "GetSegmentVersion", "Version", "segment-version"),
    ("rds", "ModifyOptionGroup", "OptionsToInclude", ""),
    ("rds", "ModifyOptionGroup", "OptionsToRemove", ""),
    ("rekognition", "CreateStreamProcessor", "Output", "stream-processor-output"),
    ("route53", "DeleteTrafficPolicy GetTrafficPolicy UpdateTrafficPolicyComment", "Version", "traffic-policy-version"),
    ("route53domains", "ViewBilling", "End", "end-time"),
    ("sagemaker", "DeleteImageVersion DescribeImageVersion ListAliases UpdateImageVersion", "Version", "version-number"),
    ("ses", "SendEmail", "Source", "from"),
    ("sns", "Subscribe", "Endpoint", "notification-endpoint"),
    ("stepfunctions", "SendTaskSuccess", "output", "task-output"),
    ("swf", "RegisterActivityType", "version", "activity-version"),
    ("swf", "RegisterWorkflowType", "version", "workflow-version"),
    ("workdocs", "CreateNotificationSubscription", "Endpoint", "notification-endpoint"),
    ("workdocs", "DescribeUsers", "Query", "user-query"),
];

/// Operations without a command.
#[rustfmt::skip]
pub(super) const MISSING: &[(&str, &str)] = &[
    ("bedrock-agent-runtime", "AgenticRetrieveStream InvokeAgent InvokeFlow InvokeInlineAgent OptimizePrompt RetrieveAndGenerateStream"),
    ("bedrock-agentcore", "InvokeAgentRuntimeCommand InvokeCodeInterpreter InvokeHarness"),
    ("bedrock-runtime", "ConverseStream InvokeModelWithBidirectionalStream InvokeModelWithResponseStream"),
    ("connecthealth", "StartMedicalScribeListeningSession"),
    ("devops-agent", "SendMessage"),
    ("ec2", "ImportInstance ImportVolume"),
    ("emr", "AddInstanceGroups AddJobFlowSteps DescribeCluster DescribeJobFlows ListBootstrapActions ListInstanceGroups RunJobFlow SetKeepJobFlowAliveWhenNoSteps SetTerminationProtection SetUnhealthyNodeReplacement SetVisibleToAllUsers TerminateJobFlows"),
    ("iotsitewise", "InvokeAssistant"),
    ("kinesis", "SubscribeToShard"),
    ("lambda", "InvokeWithResponseStream"),
    ("lexv2-runtime", "StartConversation"),
    ("logs", "GetLogObject StartLiveTail"),
    ("polly", "StartSpeechSynthesisStream"),
    ("qbusiness", "Chat"),
    ("sagemaker-runtime", "InvokeEndpointWithResponseStream"),
    ("ses", "DeleteVerifiedEmailAddress ListVerifiedEmailAddresses VerifyEmailAddress"),
];

/// Operations whose command wants the name of a file for the answer.
#[rustfmt::skip]
pub(super) const TO_FILE: &[(&str, &str)] = &[
    ("apigateway", "GetExport GetSdk"),
    ("apigatewayv2", "ExportApi"),
    ("appconfig", "CreateHostedConfigurationVersion GetConfiguration GetHostedConfigurationVersion"),
    ("appconfigdata", "GetLatestConfiguration"),
    ("appsync", "GetIntrospectionSchema"),
    ("bedrock-agentcore", "InvokeAgentRuntime"),
    ("bedrock-runtime", "InvokeModel"),
    ("cloudfront", "GetConnectionFunction GetFunction"),
    ("codeartifact", "GetPackageVersionAsset"),
    ("codeguruprofiler", "GetProfile"),
    ("datazone", "GetLineageEvent"),
    ("ebs", "GetSnapshotBlock"),
    ("geo-maps", "GetGlyphs GetSprites GetStaticMap GetStyleDescriptor GetTile"),
    ("glacier", "GetJobOutput"),
    ("iot-data", "DeleteThingShadow GetThingShadow UpdateThingShadow"),
    ("iotwireless", "GetPositionEstimate GetResourcePosition"),
    ("kinesis-video-archived-media", "GetClip GetMediaForFragmentList"),
    ("kinesis-video-media", "GetMedia"),
    ("lakeformation", "GetWorkUnitResults"),
    ("lambda", "Invoke"),
    ("lex-runtime", "PostContent PutSession"),
    ("lexv2-runtime", "PutSession RecognizeUtterance"),
    ("location", "GetMapGlyphs GetMapSprites GetMapStyleDescriptor GetMapTile"),
    ("medialive", "DescribeInputDeviceThumbnail"),
    ("mediastore-data", "GetObject"),
    ("medical-imaging", "GetImageFrame GetImageSetMetadata"),
    ("neptune-graph", "ExecuteQuery"),
    ("neptunedata", "ExecuteGremlinExplainQuery ExecuteGremlinProfileQuery ExecuteOpenCypherExplainQuery"),
    ("omics", "GetReadSet GetReference"),
    ("polly", "SynthesizeSpeech"),
    ("s3", "GetObject GetObjectAnnotation GetObjectTorrent SelectObjectContent"),
    ("sagemaker-geospatial", "GetTile"),
    ("sagemaker-runtime", "InvokeEndpoint"),
    ("sagemakerjobruntime", "Sample SampleWithResponseStream"),
    ("schemas", "GetCodeBindingSource"),
    ("tnb", "GetSolFunctionPackageContent GetSolFunctionPackageDescriptor GetSolNetworkPackageContent GetSolNetworkPackageDescriptor"),
    ("workmailmessageflow", "GetRawMessageContent"),
];
