/** A kernel's name. Those of built kernels are long (`linux-5.10+without-seed+offload-model`): lines break before a `+`. */
export const KernelName = ({ name }: { readonly name: string }) => (
  <span class="mono kernel-name">
    {name.split("+").map((part, i) => (
      <span key={part}>{i === 0 ? part : `+${part}`}</span>
    ))}
  </span>
);
