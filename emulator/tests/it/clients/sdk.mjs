// Makes each call with the AWS SDK for JavaScript v3; prints what came of it, an error only if it is of the SDK's own
// class for its code.
import * as sdk from "@aws-sdk/client-marketplace-metering";
import { readFileSync } from "node:fs";

const dates = (input) => {
  const at = (record) => ("Timestamp" in record ? { ...record, Timestamp: new Date(record.Timestamp * 1000) } : record);
  return "UsageRecords" in input ? { ...input, UsageRecords: input.UsageRecords.map(at) } : at(input);
};

const outcome = async (endpoint, { operation, region, input, key, secret, token }) => {
  const credentials = { accessKeyId: key, secretAccessKey: secret, sessionToken: token ?? undefined };
  const client = new sdk.MarketplaceMeteringClient({ endpoint, region, credentials, maxAttempts: 1 });
  try {
    const { $metadata, ...answer } = await client.send(new sdk[`${operation}Command`](dates(input)));
    return { outcome: "ok", answer };
  } catch (error) {
    const typed = sdk[error.name];
    const right = typed === undefined || error instanceof typed;
    return { outcome: right ? error.name : "not typed", answer: error.message };
  }
};

const { endpoint, cases } = JSON.parse(readFileSync(0, "utf8"));
const outcomes = [];
for (const one of cases) outcomes.push(await outcome(endpoint, one));
console.log(JSON.stringify(outcomes));
