package stuck // want doc-go "has no doc.go"
