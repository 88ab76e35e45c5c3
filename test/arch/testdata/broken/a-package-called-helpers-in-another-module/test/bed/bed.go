package helpers // want names "called helpers"
