/** Cannot be loaded. */
throw new Error("no credentials for the greeting service");
