import { Shell, startPage } from '../core/shell';
import { t } from '../core/i18n';

function Page() {
  return <Shell page="admin" title={t('core.page.admin')}>{null}</Shell>;
}

void startPage(Page);
