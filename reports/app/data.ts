/**
 * Reads what rig/report/html.ts put into the page: base64 of gzip of JSON, each piece in a `<template>`. The index is
 * decoded at once, a cell's block when the cell is first opened.
 */
import type { Bundle, CellBlock } from "../../rig/report/bundle.ts";

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
};

/** The JSON in the template called `id`. Its shape was checked when the report was written, by the same schemas. */
const decode = async (id: string): Promise<unknown> => {
  const element = document.getElementById(id);
  if (!(element instanceof HTMLTemplateElement))
    throw new Error(`This file has no data (${id}): write the report again.`);
  const packed = new Blob([bytesOf(element.content.textContent.trim())]);
  const text = await new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).text();
  return JSON.parse(text);
};

export const readBundle = async (): Promise<Bundle> => (await decode("rig-index")) as Bundle;

const blocks = new Map<number, Promise<CellBlock>>();

export const readBlock = async (block: number): Promise<CellBlock> => {
  let known = blocks.get(block);
  if (known === undefined) {
    known = decode(`rig-cell-${String(block)}`) as Promise<CellBlock>;
    blocks.set(block, known);
  }
  return known;
};
