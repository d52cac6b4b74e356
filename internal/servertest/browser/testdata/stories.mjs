// Every story of the console's storybook, as narrow as pages get and in dark: nothing scrolls sideways, whatever the names are, and nothing is inaccessible.
import { end, errand, expect, inaccessible, launch, modes, overhang, person, step } from "./visit.mjs";

const browser = await launch();
for (const mode of modes.filter((mode) => mode.name !== "light")) {
  const context = await person(browser, mode);
  const page = await context.newPage();
  await page.goto(`${errand.url}/testdata/storybook/`);
  const stories = await page.locator("a").evaluateAll((links) => links.map((link) => link.href));
  for (const story of stories) {
    await step(`${story.split("/").pop()} ${mode.name}`, async () => {
      await page.goto(story);
      const wide = await overhang(page);
      expect(wide <= 0, `it scrolls sideways by ${wide} px`);
      const wrong = await inaccessible(page);
      expect(wrong.length === 0, wrong.join("\n"));
    });
  }
  await context.close();
}
await end(browser);
