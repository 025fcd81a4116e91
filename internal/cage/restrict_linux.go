package cage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// devices are what programs may read and write besides.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

const sharedMemory = "/dev/shm" // in a view of its own only

// become restricts this process and becomes the program. What it sets is of this thread alone, which is the one that becomes it.
func become(spec Spec, level Level, argv []string, onlyTry bool) error {
	if err := unix.Chdir(spec.Dir); err != nil {
		return fmt.Errorf("entering %s: %w", spec.Dir, err)
	}
	if err := setLimits(spec, level); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("refusing new privileges: %w", err)
	}
	if err := restrictFiles(spec, level); err != nil {
		return fmt.Errorf("setting Landlock: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("dropping privileges: %w", err)
	}
	if onlyTry {
		return nil
	}
	if err := unix.Exec(argv[0], argv, spec.Env); err != nil {
		return notRun{fmt.Errorf("running %s: %w", argv[0], err)}
	}
	return nil
}

// notRun is why the program could not be run, for which its cage is not to blame.
type notRun struct{ error }

// setLimits sets what the kernel counts for each process. The number of processes is not counted for root.
func setLimits(spec Spec, level Level) error {
	for _, limit := range []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_DATA, uint64(spec.Memory)}, // not RLIMIT_AS: Go and JavaScript reserve far more than they use
		{unix.RLIMIT_FSIZE, uint64(spec.File)},
		{unix.RLIMIT_NPROC, processLimit(spec, level)},
		{unix.RLIMIT_NOFILE, maxOpenFiles},
		{unix.RLIMIT_CORE, 0},
	} {
		var now unix.Rlimit
		if err := unix.Prlimit(0, limit.resource, nil, &now); err != nil {
			return fmt.Errorf("reading a limit: %w", err)
		}
		to := min(limit.value, now.Max)
		if err := unix.Prlimit(0, limit.resource, &unix.Rlimit{Cur: to, Max: to}, nil); err != nil {
			return fmt.Errorf("setting a limit: %w", err)
		}
	}
	return nil
}

// processLimit counts the processes of the program in a namespace, and else all of the user, those of Scanhook among them.
func processLimit(spec Spec, level Level) uint64 {
	if level.Namespaces {
		return uint64(spec.Processes)
	}
	return uint64(2 * spec.Processes)
}

// restrictFiles has Landlock refuse all that is not granted.
func restrictFiles(spec Spec, level Level) error {
	if level.Landlock == 0 {
		return nil
	}
	rights := landlock.V11
	if spec.Network {
		rights.HandledAccessNet = 0
	}
	write := landlock.RWDirs(directories(spec.Write)...)
	if level.Landlock >= 2 { // before, the library would refuse nothing at all
		write = write.WithRefer()
	}
	rules := []landlock.Rule{
		landlock.RODirs(directories(spec.Read)...).IgnoreIfMissing(), landlock.ROFiles(files(spec.Read)...).IgnoreIfMissing(),
		write.IgnoreIfMissing(), landlock.RWFiles(files(spec.Write)...).IgnoreIfMissing(), landlock.RWFiles(devices...).IgnoreIfMissing(),
	}
	if level.View {
		rules = append(rules, landlock.RODirs("/proc"), landlock.RWDirs(sharedMemory))
	}
	set, flags, err := rights.BestEffort().NewRulesetFD(rules...)
	if err != nil {
		return err
	}
	if set < 0 {
		return errors.New("the kernel has none")
	}
	defer func() { _ = unix.Close(set) }()
	return landlocksys.LandlockRestrictSelf(set, flags)
}

func directories(paths []string) (found []string) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			found = append(found, path)
		}
	}
	return found
}

func files(paths []string) (found []string) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			found = append(found, path)
		}
	}
	return found
}

// dropCapabilities gives up all privileges, those of root too.
func dropCapabilities() error {
	for capability := range uintptr(64) {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) { // there are no more, or none to drop
			return err
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

const (
	viewSize         = "size=4m,mode=700" // of directories and names alone
	sharedMemorySize = "size=64m,mode=1777"
)

// enterView makes a view of the files that has nothing but what is granted, and makes it the root of this process.
func enterView(spec Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("parting from the mounts of the system: %w", err)
	}
	if err := unix.Mount("scanhook", spec.View, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, viewSize); err != nil {
		return fmt.Errorf("mounting a view: %w", err)
	}
	v := view{root: spec.View}
	if err := v.fill(spec); err != nil {
		return err
	}
	if err := v.enter(); err != nil {
		return fmt.Errorf("entering the view: %w", err)
	}
	limitNamespace(spec.Processes)
	return nil
}

// view is the directory that becomes the root.
type view struct {
	root string
}

func (v view) at(path string) string { return filepath.Join(v.root, path) }

func (v view) fill(spec Spec) error {
	if spec.Temp != "" { // first, as what is granted may be in the system's own
		if err := v.bind(spec.Temp, "/tmp", true); err != nil {
			return fmt.Errorf("showing /tmp: %w", err)
		}
	}
	writable := make(map[string]bool)
	for _, path := range spec.Write {
		writable[path] = true
	}
	paths := slices.Concat(spec.Read, spec.Write)
	slices.Sort(paths) // a directory comes before what is in it
	for _, path := range slices.Compact(paths) {
		if err := v.show(path, writable[path]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("showing %s: %w", path, err)
		}
	}
	if err := v.showSystem(); err != nil {
		return err
	}
	for name, target := range map[string]string{"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink("/proc/self/"+target, v.at("/dev/"+name)); err != nil {
			return err
		}
	}
	return nil
}

// showSystem shows the devices, the program's own processes, and memory that they can share.
func (v view) showSystem() error {
	if err := os.MkdirAll(v.at("/dev"), 0o700); err != nil {
		return err
	}
	for _, device := range devices {
		if err := v.bind(device, device, true); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("showing %s: %w", device, err)
		}
	}
	for _, mount := range []struct{ path, kind, data string }{{"/proc", "proc", ""}, {sharedMemory, "tmpfs", sharedMemorySize}} {
		if err := os.MkdirAll(v.at(mount.path), 0o700); err != nil {
			return err
		}
		err := unix.Mount(mount.kind, v.at(mount.path), mount.kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, mount.data)
		if err != nil {
			return fmt.Errorf("mounting %s: %w", mount.path, err)
		}
	}
	return nil
}

// show shows a path under its name, and what it is a link to under that one's.
func (v view) show(path string, writable bool) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if target, err := os.Readlink(path); err == nil {
		if err := os.MkdirAll(filepath.Dir(v.at(path)), 0o700); err != nil {
			return err
		}
		if err := os.Symlink(target, v.at(path)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	} else if path != real {
		if err := v.bind(real, path, writable); err != nil {
			return err
		}
	}
	return v.bind(real, real, writable)
}

// bind shows source as path. What is in it, mounts included, may be changed only if it is writable.
func (v view) bind(source, path string, writable bool) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	there, err := os.Lstat(v.at(path))
	if err == nil && !writable && os.SameFile(info, there) {
		return nil // in a directory that is shown
	}
	if err != nil {
		err = v.makeFor(path, info.IsDir())
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(source, v.at(path), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	attributes := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID}
	if !writable {
		attributes.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	return unix.MountSetattr(unix.AT_FDCWD, v.at(path), unix.AT_RECURSIVE, &attributes)
}

// makeFor makes what something can be mounted on.
func (v view) makeFor(path string, directory bool) error {
	if directory {
		return os.MkdirAll(v.at(path), 0o700)
	}
	if err := os.MkdirAll(filepath.Dir(v.at(path)), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(v.at(path), os.O_CREATE|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// enter makes the view the root, and lets go of the former one.
func (v view) enter() error {
	err := unix.Mount("", v.root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
	if err == nil {
		err = unix.Chdir(v.root)
	}
	if err == nil {
		err = unix.PivotRoot(".", ".") // the former root lies on the new one, until it is unmounted
	}
	if err == nil {
		err = unix.Unmount(".", unix.MNT_DETACH)
	}
	if err == nil {
		err = unix.Chdir("/")
	}
	return err
}

// limitNamespace bounds the processes of the namespace, which binds root too, and forbids namespaces in it. Older kernels lack these
// settings: it is a second line of defence.
func limitNamespace(processes int) {
	for file, value := range map[string]int{"/proc/sys/kernel/pid_max": max(processes, leastPIDs), "/proc/sys/user/max_user_namespaces": 0} {
		_ = os.WriteFile(file, []byte(strconv.Itoa(value)), 0o644) //nolint:gosec // it exists, and keeps its mode
	}
}

const leastPIDs = 400 // that the kernel takes
