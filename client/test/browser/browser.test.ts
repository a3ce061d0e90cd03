// What people do with tabs and networks, in headless Chromium.
import { expect } from "vitest";
import { onEveryAdapter, until } from "../server/world.js";
import { Person, withBrowser } from "./page.js";

withBrowser();

onEveryAdapter((it) => {
  it("two tabs of one user hear the same, and are one user with two clients", async ({ world }) => {
    const [room, alice] = [world.name("room"), world.name("alice")];
    const person = await Person.of(world);
    const token = await world.server.login(alice);
    const tabs = [await person.tab(world.server), await person.tab(world.server)];
    for (const tab of tabs) {
      await tab.start({ token });
      await tab.is("open");
      await tab.run(`client.subscribe("${room}").ready`);
    }
    await world.server.push(alice, "for both");
    for (const tab of tabs) await until(async () => expect(await tab.told("pushes")).toEqual(["for both"]));
    const ask = `client.hereNow({ channels: ["${room}"], includeUsers: true, distinct: true })`;
    expect((await tabs[0]!.run(ask)).channels).toEqual({ [room]: { channel: room, clientAmount: 2, userAmount: 1, users: [{ id: alice, data: "" }] } });
    expect(await tabs[0]!.run(`client.publish("${room}", { from: "a tab" })`)).toEqual({ matched: 2 });
    for (const tab of tabs) await until(async () => expect((await tab.told("pushes")).at(-1)).toEqual({ from: "a tab" }));
    await tabs[0]!.page.close();
    await until(async () => expect((await tabs[1]!.run(ask)).channels[room].clientAmount).toBe(1));
  });

  it("a kick is told in the page, which stays away", async ({ world }) => {
    const alice = world.name("alice");
    const person = await Person.of(world);
    const tab = await person.tab(world.server);
    await person.cookie(world.server, await world.server.login(alice));
    await tab.start({ cookies: true });
    await tab.is("open");
    await world.server.admin("kick", { loginId: alice, reason: "您已被踢下线" });
    await tab.is("closed");
    expect(await tab.told("kicked")).toEqual([{ type: "kicked", code: 4423, reason: "kicked", message: "您已被踢下线", reconnect: false }]);
    expect((await tab.told("states")).at(-1)).toMatchObject({ state: "closed", code: 4423 });
  });

  it("where no socket opens, the pushes come as events", async ({ world }) => {
    const alice = world.name("alice");
    const network = await world.proxy();
    network.isClosed = true;
    const person = await Person.of(world);
    await person.cookie(world.server, await world.server.login(alice));
    const tab = await person.tab(world.server);
    await tab.start({ cookies: true, url: network.ws, fallback: "/presence/events" });
    await until(async () => expect((await world.server.user(alice)).sessions).toHaveLength(1));
    await world.server.push(alice, "over the stream");
    await until(async () => expect(await tab.told("pushes")).toEqual(["over the stream"]));
    await world.server.admin("kick", { loginId: alice, reason: "go away" });
    await tab.is("closed");
    expect(await tab.told("kicked")).toMatchObject([{ code: 4423, message: "go away" }]);
  });
});

// What is between the client and the browser alone is the same on all of them.
onEveryAdapter((it) => {
  it("a page whose network fails hears what it missed, once and in order, as soon as the network is back", async ({ world }) => {
    const alice = world.name("alice");
    const proxy = await world.proxy();
    const person = await Person.of(world);
    const tab = await person.tab(proxy);
    await tab.start({ token: await world.server.login(alice), backoff: { min: 300_000, max: 300_000 } });
    await tab.is("open");
    await world.server.push(alice, "before");
    await until(async () => expect(await tab.told("pushes")).toEqual(["before"]));
    await person.context.setOffline(true);
    proxy.cut();
    await tab.is("waiting"); // For a minute or more, by itself.
    await world.server.push(alice, "while away");
    await world.server.push(alice, "and again");
    await person.context.setOffline(false);
    await until(async () => expect(await tab.told("pushes")).toEqual(["before", "while away", "and again"]));
    expect(await tab.told("resumed")).toEqual([true]);
  });

  it("a tab that nobody sees is away, and online when somebody looks", async ({ world }) => {
    const alice = world.name("alice");
    const tab = await (await Person.of(world)).tab(world.server);
    await tab.start({ token: await world.server.login(alice), away: { hidden: 50, idle: 0 } });
    await tab.is("open");
    const status = async () => (await world.server.user(alice)).status;
    // Headless Chromium shows every tab, so the page is told that it is hidden.
    const show = (isHidden: boolean) => tab.run(`Object.defineProperty(document, "hidden", { configurable: true, value: ${isHidden} }), document.dispatchEvent(new Event("visibilitychange"))`);
    await show(true);
    await until(async () => expect(await status()).toBe("away"));
    await show(false);
    await until(async () => expect(await status()).toBe("online"));
  });

  it("a tab that nobody touches is away, until somebody moves the mouse", async ({ world }) => {
    const alice = world.name("alice");
    const tab = await (await Person.of(world)).tab(world.server);
    await tab.start({ token: await world.server.login(alice), away: { hidden: 0, idle: 100 } });
    await tab.is("open");
    const told = `watched`;
    await tab.run(`void (window.${told} = [], client.watch(["${alice}"], ({ status }) => ${told}.push(status)))`);
    await until(async () => expect((await tab.run(told)).at(-1)).toBe("away"));
    // Moved until it is told: the server joins what is said within a moment, so one movement may end in the `away` after it.
    let x = 20;
    await until(async () => {
      await tab.page.mouse.move(x++, 20);
      expect((await tab.run(told)).slice(-3)).toContain("online");
    });
  });

  it("a reload is silent for the others within the grace period", async ({ world }) => {
    const [room, alice, bob, carol] = [world.name("room"), world.name("alice"), world.name("bob"), world.name("carol")];
    const patient = await world.start("--grace-ms", "60000");
    const watcher = await (await Person.of(world)).tab(patient);
    await watcher.start({ token: await patient.login(bob) });
    await watcher.run(`follow("${room}")`);
    const tab = await (await Person.of(world)).tab(patient);
    const token = await patient.login(alice);
    const enter = async () => {
      await tab.start({ token });
      await tab.run(`client.subscribe("${room}").ready`);
    };
    await enter();
    await until(async () => expect(await watcher.told("presence")).toEqual([`join ${alice}`]));
    await tab.page.reload();
    await tab.load();
    await enter();
    const other = await world.online(carol, { server: patient });
    other.subscribe(room);
    await until(async () => expect(await watcher.told("presence")).toEqual([`join ${alice}`, `join ${carol}`]));
  });

  it("a page that comes back from the browser's history goes on", async ({ world }) => {
    const alice = world.name("alice");
    const tab = await (await Person.of(world)).tab(world.server);
    await tab.start({ token: await world.server.login(alice), backoff: { min: 300_000, max: 300_000 } });
    await tab.is("open");
    await world.server.push(alice, "before");
    await until(async () => expect(await tab.told("pushes")).toEqual(["before"]));
    // Playwright knows no history with living pages in it, so the page is told what it would hear then.
    const hears = (type: string) => tab.run(`void dispatchEvent(new PageTransitionEvent("${type}", { persisted: true }))`);
    await hears("pagehide");
    await tab.is("waiting");
    await until(async () => expect((await world.server.user(alice)).sessions).toEqual([]));
    await world.server.push(alice, "while away");
    await hears("pageshow");
    await until(async () => expect(await tab.told("pushes")).toEqual(["before", "while away"]));
    expect(await tab.told("resumed")).toEqual([true]);
  });

  it("GoEasy's class is in the same script", async ({ world }) => {
    const [room, alice] = [world.name("room"), world.name("Jack")];
    const tab = await (await Person.of(world)).tab(world.server);
    const token = await world.server.login(alice);
    const response = await tab.run(`new Promise((done, fail) => {
      const goEasy = new herenow.GoEasy({ url: "/ws", token: "${token}", userId: "${alice}", userData: "18 years old" });
      goEasy.subscribe({ channel: "${room}", onFailed: fail, onSuccess: () => goEasy.hereNow({ channels: ["${room}"], includeUsers: true, distinct: true }, done) });
    })`);
    expect(response).toEqual({ code: 200, content: { channels: { [room]: { channel: room, clientAmount: 1, userAmount: 1, users: [{ id: alice, data: "18 years old" }] } } } });
  });
}, ["axum"]);
