// Every page at the widths of phones, small windows and laptops: nothing is cut off or outside of the window, and on a phone everything is large enough for a finger.
import { cutOff, end, expect, launch, overhang, person, picture, signIn, smallTargets, step } from "./visit.mjs";
import { pages } from "./addresses.mjs";

const phone = 760; // px: the widest window that has the layout for phones

const browser = await launch();
const page = await signIn(await person(browser));
for (const width of [360, 800, 1024, 1280]) {
  await page.setViewportSize({ width, height: 900 });
  for (const [name, address] of Object.entries(pages)) {
    const provokes = address === "nothing" ? /nothing: error: Failed to load resource.*404/ : undefined;
    await step(`${name} ${width}`, async () => {
      await page.goto(`/console/${address}`);
      await picture(page, name, { name: String(width) });
      const wide = await overhang(page);
      const wrong = [...(wide > 0 ? [`it scrolls sideways by ${wide} px`] : []), ...(await cutOff(page)), ...(width <= phone ? await smallTargets(page) : [])];
      expect(wrong.length === 0, wrong.join("\n"));
    }, { provokes });
  }
}
await end(browser);
