// What makes the console a tool and not a form: the keyboard, search, two people at once, a browser without scripts.
import { end, errand, expect, expectText, ids, judge, launch, person, picture, signIn, walk } from "./visit.mjs";

const browser = await launch();
await search();
await keyboard();
await order();
await inPlace();
await twoTabs();
await pieces();
await withoutScripts();
await end(browser);

async function search() {
  const page = await signIn(await person(browser));
  const rows = page.locator("#results tbody tr");
  await walk(page, [
    ["a slash focuses the search", async () => {
      for (const list of ["credentials", "workspaces", "projects", "audit"]) {
        await page.goto(`/console/${list}`);
        await page.keyboard.press("/");
        expect(await page.evaluate(() => document.activeElement.type === "search"), `${list}: the search has no focus`);
        expect((await page.evaluate(() => document.activeElement.value)) === "", `${list}: the slash was typed`);
      }
    }],
    ["a slash in a field is a slash", async () => {
      await page.goto("/console/projects/new");
      await page.getByLabel("Name").pressSequentially("a/b");
      expect((await page.getByLabel("Name").inputValue()) === "a/b", "the slash went elsewhere");
    }],
    ["what is typed is searched, and stands in the address", async () => {
      await page.goto("/console/credentials");
      await page.keyboard.press("/");
      await page.keyboard.type("cloudf");
      await rows.nth(1).waitFor({ state: "detached" });
      expect((await rows.innerText()).includes("Cloudflare DNS"), "another credential is shown");
      const told = page.getByRole("status").filter({ hasText: "1 credential" }); // It is all that is announced: a table would be read out whole.
      await told.waitFor({ state: "attached" });
      expect((await page.locator("[aria-live] table, [role=status] table").count()) === 0, "the table is announced");
      await page.waitForURL(/q=cloudf/);
      await page.reload();
      expect((await rows.count()) === 1, "reloading shows another list");
    }],
    ["filters add up, and nothing found says so", async () => {
      await page.getByLabel("State").selectOption("invalid");
      await expectText(page, "Nothing matches", "#results");
      await page.getByRole("link", { name: "Show all credentials" }).click();
      await rows.nth(5).waitFor();
    }],
    ["what is exported is what is shown", async () => {
      await page.goto("/console/audit");
      await page.getByLabel("Outcome").selectOption("denied");
      await expectText(page, "Nothing matches", "#results");
      expect((await page.getByRole("link", { name: "Export" }).getAttribute("href")).includes("outcome=denied"), "the export has another filter");
    }],
  ]);
}

async function keyboard() {
  const context = await person(browser);
  const page = await context.newPage();
  const focused = () => page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return { text: document.activeElement.innerText || document.activeElement.name, visible: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
  });
  // tabTo presses Tab until something has the focus, which must be visible on the whole way.
  const tabTo = async (name) => {
    for (let presses = 0; presses < 40; presses++) {
      await page.keyboard.press("Tab");
      const now = await focused();
      expect(now.visible, `the focus on ${JSON.stringify(now.text)} cannot be seen`);
      if (now.text?.trim() === name) return;
    }
    throw new Error(`Tab does not come to ${name}`);
  };
  await walk(page, [
    ["sign in without a mouse", async () => {
      await page.goto("/");
      await page.waitForFunction(() => document.activeElement?.name === "api_key"); // Browsers give the focus with the first frame, which may come after the load.
      await page.keyboard.type(errand.key);
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Sign out" }).waitFor();
    }],
    ["the first Tab leads past the navigation", async () => {
      await tabTo("Skip to content");
      await page.keyboard.press("Enter");
      expect(await page.evaluate(() => document.activeElement.id === "content"), "the content has no focus");
    }],
    ["make a project without a mouse", async () => {
      await page.goto("/console/");
      await tabTo("Projects");
      await page.keyboard.press("Enter");
      await page.waitForURL("**/projects");
      await tabTo("New project");
      await page.keyboard.press("Enter");
      await page.waitForURL("**/projects/new");
      await tabTo("name");
      await page.keyboard.type("by-keyboard");
      await tabTo("description");
      await page.keyboard.type("Not one click.");
      await tabTo("Create");
      await page.keyboard.press("Space");
      await page.getByRole("heading", { level: 1, name: "by-keyboard" }).waitFor();
    }],
  ]);
}

async function order() {
  const page = await signIn(await person(browser));
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") || document.activeElement.innerText);
  await walk(page, [
    ["putting credentials in order keeps the focus", async () => {
      await page.goto(`/console/workspaces/${ids.prod}/attach`);
      const down = page.getByRole("link", { name: /^Move .* down$/ }).first();
      const name = await down.getAttribute("aria-label");
      await down.focus();
      await page.keyboard.press("Enter");
      await expectText(page, "not saved", ".head");
      expect((await focused()) === name, `the focus is on ${await focused()}`);
      await page.keyboard.press("Enter");
      await page.getByRole("link", { name }).waitFor({ state: "detached" }); // It is the last one now.
      await page.waitForFunction(() => document.activeElement.matches("[data-refocus]"));
    }],
    ["adding one keeps the focus", async () => {
      await page.getByRole("button", { name: "Add" }).focus();
      const rows = await page.getByRole("link", { name: /^Detach/ }).count();
      await page.keyboard.press("Enter");
      await page.getByRole("link", { name: /^Detach/ }).nth(rows).waitFor();
      expect((await focused()) === "Add", `the focus is on ${await focused()}`);
    }],
  ]);
}

// inPlace has answers come into the page: what they are about must show everywhere on it, and the focus stay where it was.
async function inPlace() {
  const page = await signIn(await person(browser));
  const isFocused = (id) => page.waitForFunction((id) => document.activeElement.id === id, id);
  await walk(page, [
    ["verifying says so in the heading too, and keeps the focus", async () => {
      await page.goto(`/console/credentials/${ids.unasked}`);
      await expectText(page, "not verified", "h1");
      await page.getByRole("button", { name: "Verify now" }).focus();
      await page.keyboard.press("Enter");
      await page.locator("#verification .badge.good").waitFor();
      expect((await page.locator("h1").innerText()).includes("valid"), `the heading says ${await page.locator("h1").innerText()}`);
      await isFocused("verify");
      const wrong = await judge(page, 0.05);
      expect(wrong.length === 0, wrong.join("\n"));
    }],
    ["checking the chain keeps the focus and is announced", async () => {
      await page.goto("/console/audit");
      await page.getByRole("button", { name: "Check the whole chain" }).focus();
      await page.keyboard.press("Enter");
      await expectText(page, "events are intact", "#chain");
      await expectText(page, "events are intact", "#checked");
      await isFocused("check-chain");
    }],
    ["a filter that brings up a tampered event says so above", async () => {
      await page.goto("/console/audit");
      await expectText(page, "intact", "#here");
      await page.route(/audit\?.*outcome=allowed/, async (route) => { // What the server answers once somebody has changed the database: TestTamperedEvent.
        const answer = await route.fetch();
        await route.fulfill({ response: answer, body: (await answer.text()).replace(/(<dd id="here">).*(<\/dd>)/, '$1<span class="badge bad">event 7 is not what was recorded</span>$2') });
      });
      await page.getByLabel("Outcome").selectOption("allowed");
      await expectText(page, "event 7 is not what was recorded", "#here");
      expect((await page.locator("#check").getAttribute("action")).includes("outcome=allowed"), "the check has another filter");
      await page.unroute(/audit\?.*outcome=allowed/);
      await page.getByLabel("Outcome").selectOption("denied");
      await expectText(page, "intact", "#here");
      await page.getByRole("button", { name: "Check the whole chain" }).click(); // It was swapped with the rest.
      await expectText(page, "events are intact", "#chain");
      expect(page.url().endsWith("audit?action=&outcome=denied&actor=&since=&until="), `the check led to ${page.url()}`);
    }],
    ["a range that cannot be is named, where the events were", async () => {
      await page.goto("/console/audit?since=2026-02-02");
      await page.getByLabel("To day").fill("2026-02-01");
      await expectText(page, "The last day lies before the first.", "#results");
    }, { provokes: /status of 422/ }],
    ["a poll keeps the focus", async () => {
      let polls = 0;
      await page.route(/console\/system$/, async (route) => { // A rotation that goes on and on: a real one is over too soon to be looked at.
        const answer = await route.fetch();
        polls++;
        await route.fulfill({ response: answer, body: (await answer.text()).replace('id="ring"', 'id="ring" hx-get="/console/system" hx-trigger="every 50ms" hx-target="#ring" hx-select="#ring" hx-swap="outerHTML"') });
      });
      await page.goto("/console/system");
      await page.evaluate(() => { // At once, because the link does not stay the same for long.
        window.link = document.getElementById("rotate");
        window.link.focus();
      });
      await page.waitForFunction(() => !window.link.isConnected);
      await isFocused("rotate");
      expect(polls > 1, "nothing was polled");
      await page.unroute(/console\/system$/);
      await page.goto("/console/");
    }],
    ["a name is shown as it must be typed, with every space", async () => {
      await page.goto(`/console/projects/${ids.spaced}/delete`);
      const name = page.locator("label[for=f-confirm] code");
      expect((await name.innerText()) === "two  spaces", `it shows ${JSON.stringify(await name.innerText())}`);
      await page.getByLabel("to confirm").fill(await name.innerText());
      await page.getByRole("button", { name: "Delete project" }).click();
      await expectText(page, "Deleted", ".notice");
    }],
  ]);
}

async function twoTabs() {
  const context = await person(browser);
  const mine = await signIn(context);
  const theirs = await context.newPage();
  const address = `/console/workspaces/${ids.stuck}/attach`;
  await walk(mine, [
    ["two people change one workspace: the second is told, and nothing is overwritten", async () => {
      await mine.goto(address);
      await theirs.goto(address);
      await theirs.getByRole("link", { name: "Detach BigQuery loader" }).click();
      await expectText(theirs, "not saved", ".head");
      await mine.getByRole("link", { name: "Detach Sandbox AWS" }).click();
      await expectText(mine, "not saved", ".head");
      await theirs.getByRole("button", { name: "Save" }).click();
      await theirs.getByRole("heading", { level: 1, name: "shop-staging" }).waitFor();
      await mine.getByRole("button", { name: "Save" }).click();
      await expectText(mine, "Somebody else saved this workspace meanwhile");
      await expectText(mine, "Sandbox AWS", ".problem");
      await picture(mine, "rival");
      const wrong = await judge(mine);
      expect(wrong.length === 0, wrong.join("\n"));
    }, { provokes: /status of 4(09|12)/ }],
    ["the second goes on over it knowingly", async () => {
      await mine.getByRole("link", { name: "Go on with my list" }).click();
      await mine.getByText("Somebody else saved").waitFor({ state: "detached" });
      await mine.getByRole("button", { name: "Save" }).click();
      await mine.getByRole("heading", { level: 1, name: "shop-staging" }).waitFor();
      await expectText(mine, "BigQuery loader");
    }],
  ]);
}

async function pieces() {
  const context = await person(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  const page = await signIn(context);
  await walk(page, [
    ["a trust policy is copied by a button", async () => {
      await page.goto(`/console/credentials/${ids.role}`);
      await page.getByRole("button", { name: "Copy" }).first().click();
      await page.getByRole("button", { name: "Copied" }).waitFor();
      expect((await page.evaluate(() => navigator.clipboard.readText())).includes("sts:ExternalId"), "it is not in the clipboard");
    }],
    ["a refused form keeps what was typed, and says what is wrong where it is", async () => {
      await page.goto(`/console/credentials/${ids.settings}/secrets`);
      await page.locator("#name2").fill("LD_PRELOAD");
      await page.locator("#value2").fill("first EXAMPLE\nsecond");
      await page.getByRole("button", { name: "Store" }).click();
      await expectText(page, "LD_PRELOAD", "#problem");
      expect((await page.locator("#value2").inputValue()) === "first EXAMPLE\nsecond", "the value is gone");
      await picture(page, "secrets-refused");
      const wrong = await judge(page, 0.2); // the problem stands above the form
      expect(wrong.length === 0, wrong.join("\n"));
    }, { provokes: /status of 4/ }],
    ["a list grows by a row", async () => {
      const rows = page.locator("#pairs .pair");
      const before = await rows.count();
      await page.getByRole("button", { name: "Add a row" }).click();
      expect((await rows.count()) === before + 1, "there is no new row");
      expect(await page.evaluate((name) => document.activeElement.id === name, `name${before}`), "the new row has no focus");
    }],
    ["what is pasted is recognised while it is, and stored", async () => {
      await page.goto("/console/credentials/new");
      await page.getByRole("link", { name: "paste what you have" }).click();
      const box = page.getByLabel("What you have");
      await box.fill("CLOUDFLARE_API_KEY=EXAMPLE");
      await expectText(page, "Global API Key", "#recognised");
      await box.fill("export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE");
      await expectText(page, "secret_access_key", "#recognised");
      await box.fill("");
      await page.getByLabel("or take it from a file").setInputFiles({
        name: "accessKeys.csv", mimeType: "text/csv", buffer: Buffer.from("Access key ID,Secret access key\r\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\r\n"),
      });
      await expectText(page, "40 characters, not shown", "#recognised");
      await picture(page, "pasted");
      const wrong = await judge(page, 0.3); // what was recognised stands above the name
      expect(wrong.length === 0, wrong.join("\n"));
      await page.getByLabel("Region").fill("eu-central-1");
      await page.getByLabel("Name").fill("pasted");
      await page.getByRole("button", { name: "Create and store" }).click();
      await expectText(page, "The secrets are stored", ".notice");
      await expectText(page, "eu-central-1", "main");
    }],
    ["links of a preview lead to whole pages", async () => {
      await page.goto(`/console/workspaces/${ids.prod}/attach`);
      const source = page.locator("#preview a").first();
      const name = (await source.innerText()).trim();
      await source.click();
      await page.getByRole("heading", { level: 1, name }).waitFor();
    }],
    ["what cannot be had in place says so, and leaves the page as it is", async () => {
      await page.goto("/console/credentials?q=aws");
      await page.locator("#q").fill("a");
      await page.locator("#results tbody tr").nth(3).waitFor();
      await page.route("**/console/credentials?q=*", (route) => route.abort("connectionrefused"));
      await page.locator("#q").fill("ab");
      await expectText(page, "The server cannot be reached", "#trouble");
      await page.unroute("**/console/credentials?q=*");
      await page.route("**/console/credentials?q=*", (route) => route.fulfill({ status: 503, contentType: "text/html", body: "<main><h1>A part of Forgecroft cannot be reached</h1><p class=lead>Try again.</p></main>" }));
      await page.locator("#q").fill("abc");
      await expectText(page, "A part of Forgecroft cannot be reached", "#trouble");
      expect((await page.locator("#results tbody tr").count()) > 3, "the list is gone");
      await page.unroute("**/console/credentials?q=*");
      await page.locator("#q").fill("aws");
      await page.locator("#trouble").waitFor({ state: "detached" });
    }, { provokes: /ERR_CONNECTION_REFUSED|status of 503|htmx:|Response Status Error Code 503/ }],
    ["a form that is clicked twice is sent once", async () => {
      let sent = 0;
      await page.goto("/console/projects/new");
      await page.route("**/console/projects/new", async (route) => {
        if (route.request().method() === "POST") sent += 1;
        await new Promise((resolve) => setTimeout(resolve, 300));
        await route.continue();
      });
      await page.getByLabel("Name").fill("clicked-twice");
      await page.getByRole("button", { name: "Create" }).dblclick();
      await page.getByRole("heading", { level: 1, name: "clicked-twice" }).waitFor();
      expect(sent === 1, `it was sent ${sent} times`);
      await page.unroute("**/console/projects/new");
    }],
    ["a file that is dropped is taken", async () => {
      await page.goto("/console/credentials/paste");
      await page.getByLabel("What you have").evaluate((box) => {
        const files = new DataTransfer();
        files.items.add(new File(["CLOUDFLARE_API_KEY=EXAMPLE"], ".env", { type: "text/plain" }));
        box.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
      });
      await expectText(page, "Global API Key", "#recognised");
    }],
    ["a required secret is taken from a file", async () => {
      await page.goto(`/console/credentials/${ids.gcp}/secrets`);
      await page.getByLabel("or take it from a file").setInputFiles({ name: "key.json", mimeType: "application/json", buffer: Buffer.from('{"type":"authorized_user"}') });
      await page.getByRole("button", { name: "Store" }).click();
      await expectText(page, "service_account_key", "#problem");
    }, { provokes: /status of 422/ }],
    ["a conflict is named, and cannot be saved", async () => {
      await page.goto(`/console/workspaces/${ids.stuck}/attach?ids=${ids.aws},${ids.bad}`);
      await expectText(page, "is wanted by both");
      expect(await page.getByRole("button", { name: "Save" }).isDisabled(), "it can be saved");
    }],
    ["the vault's key is rotated", async () => {
      await page.goto("/console/system/rotate");
      await page.getByLabel("Type rotate to confirm").fill("rotate");
      await page.getByRole("button", { name: "Rotate" }).click();
      await page.getByRole("heading", { level: 1, name: "System" }).waitFor();
      await page.locator("#ring progress").waitFor({ state: "detached" });
      await expectText(page, "seals 0", "#ring");
    }],
  ]);
}

async function withoutScripts() {
  const context = await person(browser, { javaScriptEnabled: false });
  const page = await signIn(context);
  await walk(page, [
    ["without scripts: create a credential and store its secrets", async () => {
      await page.goto("/console/credentials");
      await page.getByRole("link", { name: "New credential" }).click();
      await page.getByRole("link", { name: "Environment variables" }).click();
      await page.getByLabel("Name").fill("without-scripts");
      await page.getByRole("button", { name: "Create" }).click();
      if (!page.url().includes("/secrets")) await page.getByRole("link", { name: "Store secrets" }).click();
      await page.locator("#name0").fill("TF_VAR_plain");
      await page.locator("#value0").fill("EXAMPLE");
      await page.getByRole("button", { name: "Store" }).click();
      await expectText(page, "stored", ".notice");
      await picture(page, "without-scripts");
    }],
    ["without scripts: search", async () => {
      await page.goto("/console/credentials");
      await page.locator("#q").fill("without-scripts");
      await page.getByRole("button", { name: "Search" }).click();
      expect((await page.locator("#results tbody tr").count()) === 1, "the search finds something else");
    }],
    ["without scripts: attach and save", async () => {
      await page.goto(`/console/workspaces/${ids.prod}/attach`);
      const option = page.locator("#add option").filter({ hasText: "without-scripts" });
      await page.locator("#add").selectOption(await option.getAttribute("value"));
      await page.getByRole("button", { name: "Add" }).click();
      await page.getByRole("button", { name: "Save" }).click();
      await expectText(page, "TF_VAR_plain");
    }],
    ["without scripts: no button that needs them is there", async () => {
      for (const address of [`credentials/${ids.role}`, `credentials/${ids.settings}/secrets`, `workspaces/${ids.prod}`]) {
        await page.goto(`/console/${address}`);
        const dead = page.locator("[data-copy], [data-add-row]");
        expect((await dead.count()) > 0, `${address}: there is none at all`);
        for (const button of await dead.all()) expect(!(await button.isVisible()), `${address}: ${await button.textContent()} is there`);
      }
    }],
    ["without scripts: checking the chain leads on", async () => {
      await page.goto("/console/audit?action=credential_config.");
      await page.getByRole("button", { name: "Check the whole chain" }).click();
      await expectText(page, "events are intact", "#chain");
      expect((await page.locator("#results tbody tr").filter({ hasText: "project.create" }).count()) === 0, "the filter is gone");
    }],
    ["without scripts: verify", async () => {
      await page.goto(`/console/credentials/${ids.dns}`);
      await page.getByRole("button", { name: "Verify now" }).click();
      await expectText(page, "valid", "#verification");
    }],
  ]);
}
