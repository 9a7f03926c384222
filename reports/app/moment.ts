/** One line of a cell's story: when, what, on which line of the history, and how bad it is. */
export type Tone = "plain" | "fault" | "good" | "bad" | "alarm";

export interface Moment {
  readonly at: number;
  readonly line: number;
  readonly tone: Tone;
  readonly text: string;
}
