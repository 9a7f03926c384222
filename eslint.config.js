import tseslint from "typescript-eslint";

const CLOCK = "Only rig/core/clock.ts reads clocks and waits for time: use its functions.";

export default tseslint.config(
  { ignores: ["node_modules/**", "reports/dist/**", "results/**"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ["eslint.config.js", ".dependency-cruiser.js"] }, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "no-restricted-globals": ["error", { name: "setTimeout", message: CLOCK }, { name: "setInterval", message: CLOCK }],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: CLOCK },
        { object: "Math", property: "random", message: "Use a seeded generator, or node:crypto for names." },
      ],
      "no-restricted-syntax": ["error", { selector: "ExportDefaultDeclaration", message: "Only scenarios and configuration files export a default." }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/only-throw-error": ["error", { allowThrowingUnknown: true, allowThrowingAny: true }],
    },
  },
  { files: ["rig/core/clock.ts"], rules: { "no-restricted-globals": "off", "no-restricted-properties": "off" } },
  { files: ["scenarios/**", "*.ts", "*.js", ".*.js", "reports/*.ts"], rules: { "no-restricted-syntax": "off" } },
  { files: ["reports/app/**", "**/*.browser.test.ts"], rules: { "no-restricted-globals": "off", "no-restricted-properties": "off" } },
  { files: ["**/*.js"], ...tseslint.configs.disableTypeChecked },
);
