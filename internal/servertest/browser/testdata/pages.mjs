// Every page of an organization that has been at work for a while, in light, dark and narrow.
import { end, expect, judge, launch, modes, person, picture, signIn, step } from "./visit.mjs";
import { pages } from "./addresses.mjs";

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
