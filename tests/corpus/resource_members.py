"""Writes which members of an operation's input may name what it acts on.

Usage: python3 resource_members.py > ../../gateway-user/src/classify/members.txt

For each service the candidates are the members that `classify::resource` reads. A member is written
for an operation only if it is in the operation's own input shape, by the name on the wire: AWS
ignores members that the shape does not have, so they must not decide anything. Made with
botocore 1.44.5.
"""

import re

import botocore.session

# IAM prefix, botocore services, members.
CANDIDATES = (
    ("cloudformation", ("cloudformation",), "StackName StackId"),
    (
        "dynamodb",
        ("dynamodb", "dynamodbstreams"),
        "TableName SourceTableName TargetTableName TableArn SourceTableArn ResourceArn BackupArn ExportArn"
        " ImportArn StreamArn RequestItems TableCreationParameters TransactItems IndexName",
    ),
    ("ec2", ("ec2",), "InstanceId"),
    ("ecr", ("ecr",), "repositoryName repositoryNames registryId"),
    (
        "iam",
        ("iam",),
        "InstanceProfileName GroupName RoleName UserName ServerCertificateName PolicyName PolicyArn"
        " SAMLProviderArn OpenIDConnectProviderArn SerialNumber Path",
    ),
    ("kinesis", ("kinesis",), "StreamName StreamARN ConsumerARN ResourceARN"),
    ("kms", ("kms",), "KeyId AliasName TargetKeyId SourceKeyId DestinationKeyId"),
    ("logs", ("logs",), "logGroupName logGroupNames logGroupIdentifier logGroupIdentifiers"),
    ("secretsmanager", ("secretsmanager",), "SecretId SecretIdList"),
    ("sns", ("sns",), "Name TopicArn TargetArn ResourceArn SubscriptionArn PlatformApplicationArn EndpointArn"),
    ("sqs", ("sqs",), "QueueName QueueUrl QueueOwnerAWSAccountId SourceArn DestinationArn"),
    ("ssm", ("ssm",), "Name Names Path"),
    ("states", ("stepfunctions",), "stateMachineArn executionArn activityArn mapRunArn resourceArn"),
)

# Of these services only the operations that were looked at.
ONLY = {
    "ec2": re.compile(
        "(Start|Stop|Reboot|Terminate|Monitor|Unmonitor)Instances|ModifyInstanceAttribute|GetConsole(Output|Screenshot)"
    ),
    "ssm": re.compile(".*Parameter.*"),
}
# What these members name is not what IAM decides on, or another member decides.
NOT_RESOURCES = {
    "cloudformation": re.compile("CreateGeneratedTemplate|CreateStackSet|GetTemplateSummary"),
    "iam": re.compile("(?!(Delete|Tag|Untag|List).*MFADevice(Tags)?=).*=SerialNumber"),
    "kinesis": re.compile("GetRecords"),
    "kms": re.compile("RetireGrant"),
    "logs": re.compile("PutQueryDefinition"),
    "sns": re.compile("CreatePlatformApplication"),
}


def reviewed(prefix, operation, member):
    only, never = ONLY.get(prefix), NOT_RESOURCES.get(prefix)
    if only and not only.fullmatch(operation):
        return False
    return not (never and (never.fullmatch(operation) or never.fullmatch(f"{operation}={member}")))


def wire_name(protocol, name, shape):
    """The name on the wire; `classify` knows lists by it as well."""
    serialization = shape.serialization
    if protocol == "ec2":
        if "queryName" in serialization:
            return serialization["queryName"]
        written = serialization.get("name", name)
        return written[0].upper() + written[1:]
    return serialization.get("name", name)


def main():
    print("# Which members of an operation's input may name what it acts on: `OPERATION=MEMBER,MEMBER`.")
    print("# Made by tests/corpus/resource_members.py from the service models of botocore 1.44.5 (Apache-2.0).")
    session = botocore.session.get_session()
    for prefix, services, candidates in CANDIDATES:
        lines = set()
        for service in services:
            model = session.get_service_model(service)
            for operation in model.operation_names:
                shape = model.operation_model(operation).input_shape
                members = shape.members if shape else {}
                names = {wire_name(model.protocol, name, member) for name, member in members.items()}
                found = [name for name in candidates.split() if name in names and reviewed(prefix, operation, name)]
                if found:
                    lines.add(f"{operation}={','.join(found)}")
        print(f"\n[{prefix}]")
        print("\n".join(sorted(lines)))


main()
