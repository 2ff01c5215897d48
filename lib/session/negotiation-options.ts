/** What the MTA offers in negotiate, to be changed in place to what the filter takes: actions, protocol, 0, 0. */
export type NegotiationOptions = [actions: number, protocol: number, f2: number, f3: number];
