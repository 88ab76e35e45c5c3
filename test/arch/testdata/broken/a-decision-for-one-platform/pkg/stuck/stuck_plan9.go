package stuck

import _ "os"
