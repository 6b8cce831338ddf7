// One call with the AWS SDK for JavaScript v3. Usage: e2e.cjs CASE; prints one line of JSON.
"use strict";

const { createHash } = require("node:crypto");
const { Readable } = require("node:stream");
const s3 = require("@aws-sdk/client-s3");
const dynamodb = require("@aws-sdk/client-dynamodb");
const sts = require("@aws-sdk/client-sts");

const Bucket = "e2e-bucket";

async function get(Key) {
  const answer = await new s3.S3Client({}).send(new s3.GetObjectCommand({ Bucket, Key }));
  const body = await answer.Body.transformToByteArray();
  return {
    $metadata: answer.$metadata,
    sha256: createHash("sha256").update(body).digest("hex"),
    length: body.length,
  };
}

const sendS3 = (command) => new s3.S3Client({}).send(command);
const sendDynamoDb = (command) => new dynamodb.DynamoDBClient({}).send(command);
const stream = () => Readable.from((function* () {
  for (let i = 0; i < 83; i++) yield Buffer.alloc(60_000, "stream");
})());

const CASES = {
  "put": () => sendS3(new s3.PutObjectCommand({ Bucket, Key: "small", Body: "hello" })),
  "put-odd-key": () => sendS3(new s3.PutObjectCommand({ Bucket, Key: "a b/+%é~(1).txt", Body: "hello" })),
  "put-stream": () => sendS3(
    new s3.PutObjectCommand({ Bucket, Key: "stream", Body: stream(), ContentLength: 83 * 60_000 })),
  "get": () => get("bytes-1000000"),
  "list": () => sendS3(new s3.ListObjectsV2Command({ Bucket, Prefix: "a b/c" })),
  "put-item": () => sendDynamoDb(
    new dynamodb.PutItemCommand({ TableName: "t", Item: { id: { S: "1" } } })),
  "identity": async () => {
    const answer = await new sts.STSClient({}).send(new sts.GetCallerIdentityCommand({}));
    return { $metadata: answer.$metadata, arn: answer.Arn };
  },
  "delete-bucket": () => sendS3(new s3.DeleteBucketCommand({ Bucket })),
  "delete-table": () => sendDynamoDb(new dynamodb.DeleteTableCommand({ TableName: "t" })),
};

CASES[process.argv[2]]().then(
  ({ $metadata, sha256, length, arn }) =>
    console.log(JSON.stringify({ status: $metadata.httpStatusCode, sha256, length, arn })),
  (error) =>
    console.log(JSON.stringify({
      status: error.$metadata?.httpStatusCode,
      Code: error.Code ?? error.name,
      Message: error.message,
    })),
);
