// The README's tour by clicking, in an organization where nobody has done anything.
import { end, errand, expect, expectText, launch, look, person, picture, walk } from "./visit.mjs";

const browser = await launch();
const context = await person(browser);
const page = await context.newPage();
const { access_key_id: keyID, secret_access_key: secretKey } = errand.secrets;

const click = (name, role = "button") => page.getByRole(role, { name, exact: true }).click();
const open = (name) => page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
const fill = (label, value) => page.getByLabel(label).fill(value);

// create makes a credential of a kind and comes to its page.
const create = async (kind, name) => {
  await open("Credentials");
  await page.getByRole("main").getByRole("link", { name: /New credential|Create the first one/ }).first().click();
  await page.getByRole("link", { name: kind }).click();
  await fill("Name", name);
  await click("Create");
  await expectText(page, name, "h1, .crumb");
};

// store goes from the page of a credential to the form of its secrets, unless creating it has led there already.
const store = async (fields) => {
  if (!page.url().includes("/secrets")) await page.getByRole("link", { name: /(Store|Replace) secrets/ }).click();
  for (const [label, value] of Object.entries(fields)) await fill(label, value);
  await click("Store");
  await expectText(page, "stored", ".notice");
};

// attach adds a credential to the draft of a workspace.
const attach = async (name) => {
  const option = page.locator("#add option").filter({ hasText: name });
  await page.locator("#add").selectOption(await option.getAttribute("value"));
  await click("Add");
  await page.getByRole("link", { name: `Detach ${name}` }).waitFor();
};

// order lists what is attached, first to last.
const order = () => page.locator("a.name").allInnerTexts();

await walk(page, [
  ["sign-in is what a stranger gets", async () => {
    await page.goto("/");
    await heading("Sign in");
    await look(page, "sign-in");
  }],
  ["a wrong key is refused", async () => {
    await fill("API key", "fc_live_EXAMPLE");
    await click("Sign in");
    await expectText(page, "does not open", ".problem");
    await look(page, "sign-in-refused");
  }, { provokes: /Failed to load resource.*401/ }],
  ["sign in with an API key", async () => {
    await fill("API key", errand.key);
    await click("Sign in");
    await heading("Home");
  }],
  ["empty pages teach the next step", async () => {
    await expectText(page, "Three steps to the first run");
    await look(page, "empty-home");
    for (const name of ["Credentials", "Workspaces", "Projects", "API keys", "Audit", "System"]) {
      await open(name);
      await heading(name);
      await look(page, `empty-${name.toLowerCase().replace(" ", "-")}`);
    }
  }],
  ["create a project", async () => {
    await open("Projects");
    await click("Create the first one", "link");
    await fill("Name", "shop");
    await click("Create");
    await heading("shop");
    await look(page, "project");
  }],
  ["create a workspace", async () => {
    await click("New workspace", "link");
    await fill("Name", "shop-prod");
    await click("Create");
    await expectText(page, "shop-prod", "h1, .crumb");
    await look(page, "workspace-new");
  }],
  ["create a credential for AWS", async () => {
    await create("AWS access key", "Production AWS");
    await look(page, "credential-new");
  }],
  ["store secrets that AWS does not know", async () => {
    await store({ "Access key id": "AKIAI44QH8DHBEXAMPLE", "Secret access key": "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY" });
  }],
  ["verification says cause and remedy", async () => {
    await click("Verify now");
    await expectText(page, "Asking the provider", "#verification");
    await expectText(page, "InvalidClientTokenId", "#verification", 40000); // the server asks for a while: AWS learns of new keys late
    await expectText(page, "AWS does not know this access key", "#verification");
    await look(page, "credential-refused");
  }],
  ["store the good ones", async () => {
    await store({ "Access key id": keyID, "Secret access key": secretKey, Region: "eu-central-1" });
    expect(!(await page.content()).includes(secretKey), "the page shows the secret that was stored");
  }],
  ["verification says whose they are", async () => {
    await click("Verify now");
    await expectText(page, "arn:aws:iam::111122223333:user/forgecroft", "#verification");
    await look(page, "credential-valid");
  }],
  ["create one for any provider, with its variables", async () => {
    await create("Environment variables", "Shop settings");
    if (!page.url().includes("/secrets")) await click("Store secrets", "link");
    await page.locator("#name0").fill("TF_VAR_greeting");
    await page.locator("#value0").fill("hello from the EXAMPLE vault\nand its second line");
    await look(page, "secrets-filled");
    await click("Store");
    await expectText(page, "stored", ".notice");
    await expectText(page, "TF_VAR_greeting");
  }],
  ["attach both, with what the run would get beside", async () => {
    await open("Workspaces");
    await click("shop-prod", "link");
    await click("Change credentials", "link");
    await attach("Production AWS");
    await expectText(page, "AWS_SECRET_ACCESS_KEY", "#preview");
    await attach("Shop settings");
    await expectText(page, "TF_VAR_greeting", "#preview");
    await expectText(page, "not saved", "h1, .head");
    await look(page, "draft");
  }],
  ["put them in order", async () => {
    expect((await order()).join() === "Production AWS,Shop settings", `the order is ${await order()}`);
    await click("Move Shop settings up", "link");
    await page.getByRole("link", { name: "Move Production AWS up" }).waitFor();
    expect((await order()).join() === "Shop settings,Production AWS", `the order is ${await order()}`);
  }],
  ["the back button undoes, forward does it again", async () => {
    await page.goBack();
    await page.getByRole("link", { name: "Move Shop settings up" }).waitFor();
    await page.goForward();
    await page.getByRole("link", { name: "Move Production AWS up" }).waitFor();
  }],
  ["save", async () => {
    await click("Save");
    await heading("shop-prod");
    await expectText(page, "AWS_ACCESS_KEY_ID");
    await look(page, "workspace-attached");
  }],
  ["a run takes its credentials", async () => {
    const id = new URL(page.url()).pathname.split("/").pop();
    const reply = await fetch(`${errand.url}/workspaces/${id}/environment`, { method: "POST", headers: { Authorization: `Bearer ${errand.key}`, "Content-Type": "application/json" }, body: "{}" });
    expect(reply.ok, `delivery: status ${reply.status}: ${await reply.text()}`);
  }],
  ["the delivery is in the record, and the chain is intact", async () => {
    await open("Audit");
    await expectText(page, "environment.deliver", "#results");
    await click("Check the whole chain");
    await expectText(page, "intact", "#chain");
    await look(page, "audit-checked");
    await open("Home");
    await expectText(page, "1", ".figure");
  }],
  ["what is in use is deleted only with its whole name", async () => {
    await open("Credentials");
    await click("Production AWS", "link");
    await click("Edit", "link");
    await page.getByRole("link", { name: /Delete/ }).click();
    await expectText(page, "Detach everywhere and delete");
    await expectText(page, "shop-prod");
    await page.getByLabel(/to confirm/).fill("Production");
    await page.getByRole("button", { name: "Detach everywhere and delete" }).click();
    await expectText(page, "Type the name exactly");
  }, { provokes: /status of 422/ }],
  ["deleting says what stops working, and wants the name typed", async () => {
    await click("shop-prod", "link");
    await click("Edit", "link");
    await page.getByRole("link", { name: /Delete/ }).click();
    await expectText(page, "Runs of this workspace get no credentials any more");
    await fill("Type shop-prod to confirm", "shop");
    await page.getByRole("button", { name: /Delete/ }).click();
    await page.locator("#problem .problem").waitFor();
    expect(await page.evaluate(() => document.activeElement.matches(".problem")), "the problem is not what a screen reader reads next");
    await look(page, "workspace-delete-refused");
    await fill("Type shop-prod to confirm", "shop-prod");
    await page.getByRole("button", { name: /Delete/ }).click();
    await heading("Workspaces");
    expect((await page.getByRole("main").getByRole("link", { name: "shop-prod" }).count()) === 0, "the workspace is still there");
  }, { provokes: /status of 422/ }],
  ["an API key is shown once", async () => {
    const tab = await context.newPage();
    await tab.goto("/console/keys/new");
    await tab.getByLabel("Name").fill("ci-shop");
    await tab.getByRole("button", { name: "Create" }).click();
    const key = (await tab.locator("#key").innerText()).trim();
    expect(key.startsWith("fc_live_"), "the page does not show the key");
    await look(tab, "key-made");
    await tab.getByRole("link", { name: "Done" }).click();
    await expectText(tab, "ci-shop");
    expect(!(await tab.content()).includes(key), "the list shows the key again");
    const back = await tab.goBack().catch((error) => error.message);
    expect(/ERR_CACHE_MISS/.test(back) || !(await tab.content()).includes(key), "the back button shows the key again");
    await tab.close();
  }],
  ["sign out, and nothing opens any more", async () => {
    await click("Sign out");
    await heading("Sign in");
    await page.goBack();
    await heading("Sign in");
    await page.goto("/console/credentials");
    await heading("Sign in");
  }],
]);
await end(browser);
