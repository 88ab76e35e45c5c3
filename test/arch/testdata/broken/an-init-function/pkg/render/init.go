package render

func init() { // want no-init "has an init function"
}

type room struct{}

func (room) init() {}
