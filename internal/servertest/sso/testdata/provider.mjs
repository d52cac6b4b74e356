// A real OpenID provider: one client, and anybody who gives a name is that person. Those whose name begins with "ops" are in the group ops. It says its issuer on
// standard output once it answers, and ends with standard input.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const { client_id, client_secret, redirect_uri } = JSON.parse(process.env.PROVIDER_CLIENT);

const server = createServer((request, response) => answer(request, response));
let answer = (_, response) => response.writeHead(503).end();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id, client_secret, redirect_uris: [redirect_uri] }],
    cookies: { keys: ['EXAMPLE'] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: { email: ['email'], profile: ['name'], groups: ['groups'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: id, email: `${id}@example.com`, groups: id.startsWith('ops') ? ['ops', 'everybody'] : ['everybody'] }),
    }),
  });
  answer = provider.callback();
  console.log(issuer);
});

process.stdin.resume().on('end', () => process.exit(0));
