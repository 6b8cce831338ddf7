// A call by each protocol with the AWS SDK for JavaScript v3, all of which are refused. Prints one line of
// JSON for each.
"use strict";

const CALLS = [
  ["json 1.0", "dynamodb", "DynamoDBClient", "ListTablesCommand"],
  ["json 1.1", "ssm", "SSMClient", "DescribeParametersCommand"],
  ["rest-json", "lambda", "LambdaClient", "ListFunctionsCommand"],
  ["query", "iam", "IAMClient", "ListUsersCommand"],
  ["ec2", "ec2", "EC2Client", "DescribeInstancesCommand"],
  ["rest-xml", "route-53", "Route53Client", "ListHostedZonesCommand"],
  ["s3", "s3", "S3Client", "ListBucketsCommand"],
  ["cbor after query", "cloudwatch", "CloudWatchClient", "ListMetricsCommand"],
];

(async () => {
  for (const [protocol, name, client, command] of CALLS) {
    const sdk = require(`@aws-sdk/client-${name}`);
    let line;
    try {
      await new sdk[client]({ maxAttempts: 3 }).send(new sdk[command]({}));
      line = { error: "it was not refused" };
    } catch (error) {
      line = {
        status: error.$metadata?.httpStatusCode,
        retries: (error.$metadata?.attempts ?? 0) - 1,
        request: error.$metadata?.requestId,
        code: error.name,
        message: error.message,
      };
    }
    console.log(JSON.stringify({ protocol, ...line }));
  }
})();
