module github.com/olekukonko/tablewriter

go 1.26
