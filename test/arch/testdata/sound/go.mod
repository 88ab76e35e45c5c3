module example.com/house

go 1.26

require (
	github.com/olekukonko/tablewriter v0.0.0
	k8s.io/api v0.0.0
	k8s.io/client-go v0.0.0
	k8s.io/kubectl v0.0.0
)

replace (
	github.com/olekukonko/tablewriter => ./third_party/tablewriter
	k8s.io/api => ./third_party/api
	k8s.io/client-go => ./third_party/client-go
	k8s.io/kubectl => ./third_party/kubectl
)
