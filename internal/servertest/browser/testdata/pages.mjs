// Every page of an organization that has been at work for a while, in light, dark and narrow.
import { end, expect, ids, judge, launch, modes, person, picture, signIn, step } from "./visit.mjs";

const pages = {
  home: "",
  credentials: "credentials",
  "credentials-filtered": "credentials?state=invalid",
  "credentials-none-match": "credentials?q=nothing-is-called-so",
  "credential-kinds": "credentials/new",
  "credential-new": "credentials/new?type=aws_static",
  "credential-paste": "credentials/paste",
  "secrets-paste": `credentials/${ids.aws}/paste`,
  "credential-aws": `credentials/${ids.aws}`,
  "credential-role": `credentials/${ids.role}`,
  "credential-refused": `credentials/${ids.bad}`,
  "credential-settings": `credentials/${ids.settings}`,
  "credential-edit": `credentials/${ids.aws}/edit`,
  "credential-delete": `credentials/${ids.settings}/delete`,
  "credential-delete-blocked": `credentials/${ids.aws}/delete`,
  "secrets-aws": `credentials/${ids.aws}/secrets`,
  "secrets-role": `credentials/${ids.role}/secrets`,
  "secrets-settings": `credentials/${ids.settings}/secrets`,
  workspaces: "workspaces",
  "workspace-new": "workspaces/new",
  workspace: `workspaces/${ids.prod}`,
  "workspace-missing": `workspaces/${ids.stuck}`,
  "workspace-attach": `workspaces/${ids.prod}/attach`,
  "workspace-attach-draft": `workspaces/${ids.prod}/attach?ids=${ids.settings},${ids.aws}`,
  "workspace-attach-conflict": `workspaces/${ids.stuck}/attach?ids=${ids.aws},${ids.bad}`,
  "workspace-edit": `workspaces/${ids.prod}/edit`,
  "workspace-delete": `workspaces/${ids.prod}/delete`,
  projects: "projects",
  "project-new": "projects/new",
  project: `projects/${ids.project}`,
  "project-edit": `projects/${ids.project}/edit`,
  "project-delete": `projects/${ids.project}/delete`,
  keys: "keys",
  "key-new": "keys/new",
  "key-revoke": `keys/${ids.key}/revoke`,
  audit: "audit",
  "audit-filtered": "audit?action=credential_config.&outcome=allowed",
  system: "system",
  "system-rotate": "system/rotate",
  "not-found": "nothing",
};

const browser = await launch();
for (const mode of modes) {
  const context = await person(browser, mode);
  const stranger = await person(browser, mode);
  const door = await stranger.newPage();
  await step(`sign-in ${mode.name}`, () => visit(door, "sign-in", "sign-in", mode));
  const page = await signIn(context);
  for (const [name, address] of Object.entries(pages)) {
    const provokes = address === "nothing" ? /nothing: error: Failed to load resource.*404/ : undefined;
    await step(`${name} ${mode.name}`, () => visit(page, name, address, mode), { provokes });
  }
  await stranger.close();
  await context.close();
}
await end(browser);

// visit opens a page, keeps a picture of it, and judges it.
async function visit(page, name, address, mode) {
  await page.goto(`/console/${address}`);
  await picture(page, name, mode);
  const wrong = await judge(page);
  expect(wrong.length === 0, wrong.join("\n"));
}
