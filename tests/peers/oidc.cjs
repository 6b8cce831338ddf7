// An OpenID provider (oidc-provider) on loopback. Usage: oidc.cjs CERTIFICATE KEY [PORT]; prints the port.
//
// POST /token with grant client_credentials gives a JWT access token; the field `wanted` (JSON) says what is in it:
// audience, also_for (further audiences), ttl (seconds), alg, typ, claims; iss and kid in place of its own, which its own
// key signs all the same. Any client id is known, its secret is "secret".
// Lines on stdin: "rotate" makes new keys and forgets the old, "add" makes new keys and keeps the old published;
// each is answered by a line.
"use strict";

const { createPrivateKey, generateKeyPairSync, randomUUID } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { createServer } = require("node:https");
const { createInterface } = require("node:readline");
const { pathToFileURL } = require("node:url");

const [certificate, key, port = "0"] = process.argv.slice(2);

/**
 * By way of PEM: a key just generated shares its lock with the job that made it, and where that job is collected
 * while the key is exported as JWK, Node waits for itself for ever (seen with 20.20, once in some ten thousand keys).
 */
const jwk = (type, options, alg) => {
  const privateKeyEncoding = { type: "pkcs8", format: "pem" };
  const publicKeyEncoding = { type: "spki", format: "pem" };
  const { privateKey } = generateKeyPairSync(type, { ...options, privateKeyEncoding, publicKeyEncoding });
  return { ...createPrivateKey(privateKey).export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg };
};
const newKeys = () => [
  jwk("rsa", { modulusLength: 2048 }, "RS256"),
  jwk("rsa", { modulusLength: 2048 }, "PS256"),
  jwk("ec", { namedCurve: "P-256" }, "ES256"),
  jwk("ec", { namedCurve: "P-384" }, "ES384"),
  jwk("ed25519", {}, "EdDSA"),
];

/** Knows every client and keeps nothing: the tokens are self-contained. */
class Adapter {
  constructor(kind) {
    this.kind = kind;
  }
  async find(id) {
    return this.kind === "Client" ? {
      client_id: id,
      client_secret: "secret",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: "client_secret_post",
    } : undefined;
  }
  async upsert() {}
  async consume() {}
  async destroy() {}
}

const wanted = (ctx) => JSON.parse(ctx.oidc.body.wanted ?? "{}");

async function main() {
  // It is an ECMAScript module, which only import() loads, which does not look at NODE_PATH.
  const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));
  let handle;
  const server = createServer(
    { cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => handle(request, response));
  await new Promise((done) => server.listen(Number(port), "127.0.0.1", done));
  const issuer = `https://localhost:${server.address().port}`;

  let keys = newKeys();
  const provide = () => {
    handle = new Provider(issuer, {
      adapter: Adapter,
      jwks: { keys },
      enabledJWA: { idTokenSigningAlgValues: ["RS256", "PS256", "ES256", "ES384", "EdDSA"] },
      ttl: { ClientCredentials: (ctx) => wanted(ctx).ttl ?? 600 },
      extraTokenClaims: (ctx) => wanted(ctx).claims,
      formats: {
        customizers: {
          jwt: (ctx, token, jwt) => {
            const { also_for: others = [], typ, iss, kid } = wanted(ctx);
            jwt.header = { typ: typ ?? undefined, ...(kid && { kid }) };
            jwt.payload.iss = iss ?? jwt.payload.iss;
            if (others.length > 0) jwt.payload.aud = [jwt.payload.aud, ...others];
          },
        },
      },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => "urn:chaperone",
          getResourceServerInfo: (ctx) => {
            const { audience = "chaperone", alg = "RS256" } = wanted(ctx);
            return { scope: "", audience, accessTokenFormat: "jwt", jwt: { sign: { alg } } };
          },
        },
      },
    }).callback();
  };
  provide();

  createInterface({ input: process.stdin }).on("line", (line) => {
    keys = line === "add" ? [...newKeys(), ...keys] : newKeys();
    provide();
    console.log("done");
  }).on("close", () => process.exit(0));
  console.log(server.address().port);
}

main();
