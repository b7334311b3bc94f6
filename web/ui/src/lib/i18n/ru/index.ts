import auth from './auth.json'
import common from './common.json'
import crm from './crm.json'
import form from './form.json'
import inbox from './inbox.json'
import settings from './settings.json'

export default { common, auth, settings, inbox, crm, form }
