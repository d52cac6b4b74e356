// Single sign-on with a provider of another site: in, before something that cannot be undone once more, and out.
import { end, errand, expect, expectText, ids, judge, launch, person, picture, walk } from "./visit.mjs";

const browser = await launch();

// logIn fills in the provider's own pages: the name, and the consent where it is asked for.
const logIn = async (page, name) => {
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("EXAMPLE");
  await page.locator("button[type=submit]").click();
  const consent = page.getByRole("button", { name: "Continue" });
  await consent.or(page.locator("main")).first().waitFor();
  if (await consent.isVisible()) await consent.click();
};

// elsewhere waits until the browser has left for the provider.
const elsewhere = (page) => page.waitForURL((url) => url.origin !== errand.url);


const alice = await person(browser);
const page = await alice.newPage();
await walk(page, [
  ["the door leads to the provider", async () => {
    await page.goto("/console/projects");
    const wrong = await judge(page);
    expect(wrong.length === 0, wrong.join("\n"));
    await picture(page, "sign-in");
    await page.getByRole("link", { name: /Sign in with/ }).click();
    await elsewhere(page);
  }],
  ["and back to the page that was wanted", async () => {
    await logIn(page, "ops-alice");
    await page.waitForURL("**/console/projects");
    await expectText(page, "doomed");
    await expectText(page, "ops-alice", ".who");
  }],
  ["cookies are as strict as they can be", async () => {
    const cookies = (await alice.cookies(errand.url)).filter((cookie) => cookie.name.includes("forgecroft"));
    const session = cookies.find((cookie) => cookie.name.includes("session"));
    expect(session && session.sameSite === "Strict" && session.httpOnly, `the session's cookie: ${JSON.stringify(session)}`);
    expect(cookies.length === 1, `signing on left cookies behind: ${cookies.map((cookie) => cookie.name)}`);
  }],
  ["a deletion asks the provider once more", async () => {
    await page.goto(`/console/projects/${ids.project}/delete`);
    await page.getByRole("link", { name: /Sign on once more/ }).click();
    await elsewhere(page);
    await logIn(page, "ops-alice");
    await page.waitForURL(`**/projects/${ids.project}/delete`);
    await page.getByRole("textbox").fill("doomed");
    await page.getByRole("button", { name: "Delete project" }).click();
    await expectText(page, "Deleted", ".notice");
  }],
  ["out is out", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.goto("/console/projects");
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  }],
]);

const bob = await person(browser);
const other = await bob.newPage();
await walk(other, [
  ["somebody of no group is told so, and stays out", async () => {
    await other.goto("/console/sign-on");
    await logIn(other, "bob");
    await expectText(other, "none of your groups", ".problem");
    await picture(other, "refused");
  }, { provokes: /Failed to load resource.*403/ }],
]);
await end(browser);
