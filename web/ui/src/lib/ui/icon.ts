import type X from '@lucide/svelte/icons/x'

/** A lucide icon, imported one by one from '@lucide/svelte/icons/...'. */
export type IconType = typeof X
