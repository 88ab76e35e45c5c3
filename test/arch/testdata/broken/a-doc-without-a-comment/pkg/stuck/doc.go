package stuck // want doc-go "no comment above"
