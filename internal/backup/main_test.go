package backup_test

import (
	"testing"

	"github.com/parley-hub/parley/internal/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
