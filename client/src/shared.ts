/** Things by name, made on first use. `over` takes the thing out again, and tells whether it was still the one of that name. */
export function shared<Thing>(make: (name: string, over: () => boolean) => Thing) {
  const things = new Map<string, Thing>();
  return {
    things,
    named(name: string): Thing {
      const thing: Thing = things.get(name) ?? make(name, (): boolean => things.get(name) === thing && things.delete(name));
      things.set(name, thing);
      return thing;
    },
  };
}
