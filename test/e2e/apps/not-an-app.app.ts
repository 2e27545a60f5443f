/** Has a default export that is something else. */
export default { functions: [] };
