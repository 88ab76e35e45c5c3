//go:build !unix

package journal

import "io/fs"

// modesCount tells whether owner and mode of a file say who may write to it. Where access lists do, the folder of the user is theirs by default.
const modesCount = false

func owned(fs.FileInfo) (uid uint32, mine bool) { return 0, true }
