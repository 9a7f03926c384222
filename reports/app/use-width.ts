/** The width a drawing has been given, kept up to date: pictures are drawn to measure so that their text keeps its size. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";

export const useWidth = (atFirst: number, least: number) => {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(atFirst);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(entries => {
      const seen = entries[0]?.contentRect.width ?? 0;
      if (seen > 0) setWidth(Math.max(least, Math.round(seen)));
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, [least]);
  return { box, width };
};
