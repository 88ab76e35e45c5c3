//go:build unix

package journal

import (
	"io/fs"
	"os"
	"syscall"
)

// modesCount tells whether owner and mode of a file say who may write to it.
const modesCount = true

// owned tells whether the file belongs to who runs this.
func owned(info fs.FileInfo) (uid uint32, mine bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Uid, int64(st.Uid) == int64(os.Geteuid())
}
