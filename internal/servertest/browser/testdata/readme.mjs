// The two pictures of the README, of an organization at work.
import { end, errand, ids, launch, person, signIn, step } from "./visit.mjs";
import path from "node:path";

const browser = await launch();
const context = await person(browser, { viewport: { width: 1200, height: 640 }, deviceScaleFactor: 1.25 });
const page = await signIn(context);

// take keeps what the window shows of a page, not the whole page.
const take = (name, address) => step(name, async () => {
  await page.goto(`/console/${address}`);
  await page.mouse.move(0, 0);
  await page.screenshot({ path: path.join(errand.artefacts, `console-${name}.png`), animations: "disabled" });
});

await take("home", "");
await take("workspace", `workspaces/${ids.prod}/attach?ids=${ids.settings},${ids.role},${ids.dns}`);
await end(browser);
