// The upstream's work with Sandbox Runtime's proxy: its TLS termination, its request filter, its header hook.
import fs from 'node:fs';

const { BENCH_PACKAGE, BENCH_HOST, BENCH_KEY, BENCH_RULES, BENCH_AUTHORITY, BENCH_LOG } = process.env;
const { createHttpProxyServer } = await import(`${BENCH_PACKAGE}/dist/sandbox/http-proxy.js`);
const { createMitmCA } = await import(`${BENCH_PACKAGE}/dist/sandbox/mitm-ca.js`);

const escape = (text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
const rules = BENCH_RULES.split('\n').map((rule) => new RegExp(`^${escape(rule).replaceAll('*', '[^/]+')}$`));
const log = fs.createWriteStream(BENCH_LOG, { flags: 'a' });
const mitmCA = createMitmCA({});

const server = createHttpProxyServer({
  filter: (_port, host) => host === BENCH_HOST,
  mitmCA,
  tlsTerminateUpstreamCA: fs.readFileSync(BENCH_AUTHORITY),
  lookupFor: () => (_host, options, done) =>
    options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
  filterRequest: async (request) => {
    const url = new URL(request.url);
    const allow = ['GET', 'POST'].includes(request.method) && rules.some((rule) => rule.test(url.pathname));
    log.write(`${JSON.stringify({ time: Date.now(), method: request.method, host: url.host, path: url.pathname, allow })}\n`);
    return { action: allow ? 'allow' : 'deny' };
  },
  mutateHeaders: (headers) => {
    headers['x-api-key'] = BENCH_KEY;
  },
});
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port, ca: mitmCA.certPath }));
});
