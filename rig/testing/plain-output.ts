/** Tests compare what is printed: colours that whoever started them asked for (CI does, by its name alone) are none of theirs. */
for (const name of ["CI", "FORCE_COLOR", "NO_COLOR"]) Reflect.deleteProperty(process.env, name);
