// Node.js looks at HTTPS_PROXY only from version 24 on. Loaded into the command by NODE_OPTIONS, this makes
// every connection for HTTPS go through the proxy in any version.
const http = require("http");
const https = require("https");
const tls = require("tls");

const proxy = new URL(process.env.HTTPS_PROXY);

https.Agent.prototype.createConnection = function (options, done) {
  const name = options.servername || options.host;
  const path = `${options.host}:${options.port || 443}`;
  http
    .request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path, agent: false })
    .on("connect", (_, socket) => {
      const secure = tls.connect({ ...options, socket, servername: name }, () => done(null, secure));
      secure.on("error", done);
    })
    .on("error", done)
    .end();
};
